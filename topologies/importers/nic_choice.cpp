#include "topologies/importers/nic_choice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "sim/base/quantity_text.hpp"
#include "topologies/importers/imported_node.hpp"

namespace trainyard {
namespace {

constexpr std::array<const char*, 5> kDistanceWords{"one switch away from", "a few switches away from",
                                                    "behind the host bridge of", "in the NUMA node of",
                                                    "in another NUMA node than"};

std::vector<std::string> names_of(const NicCandidates& candidates, const NicGroup& group) {
  std::vector<std::string> out;
  for (const std::size_t nic : group) {
    out.push_back(candidates.names[nic]);
  }
  return out;
}

// What the path between a GPU and a NIC carries, as far as it tells NICs apart.
double path_bandwidth(const NicCandidates& candidates, std::size_t gpu, std::size_t nic) {
  double carried = candidates.slot.value;
  if (candidates.affinity[gpu][nic] == Affinity::kSystem) {
    carried = std::min(carried, candidates.between_sockets.value);
  }
  return candidates.rates[nic] ? std::min(carried, candidates.rates[nic]->value) : carried;
}

NicGroup nearest_of(const NicCandidates& candidates, std::size_t gpu) {
  NicGroup best;
  for (std::size_t nic = 0; nic < candidates.names.size(); ++nic) {
    const double wider =
        best.empty() ? 1.0 : path_bandwidth(candidates, gpu, nic) - path_bandwidth(candidates, gpu, best.front());
    const auto& row = candidates.affinity[gpu];
    if (wider > 0.0 || (wider == 0.0 && row[nic] < row[best.front()])) {
      best.assign(1, nic);
    } else if (wider == 0.0 && row[nic] == row[best.front()]) {
      best.push_back(nic);
    }
  }
  return best;
}

bool at_a_switch(Affinity affinity) {
  return affinity <= Affinity::kBridges;
}

// The NICs of every GPU. Where none is at the GPU's own switch, those that other GPUs have at theirs go before NICs at
// no GPU's.
std::vector<NicGroup> nearest_nics(const NicCandidates& candidates) {
  std::vector<NicGroup> nearest;
  std::vector<char> at_some_switch(candidates.names.size());
  for (std::size_t gpu = 0; gpu < candidates.affinity.size(); ++gpu) {
    nearest.push_back(nearest_of(candidates, gpu));
    for (const std::size_t nic : nearest.back()) {
      at_some_switch[nic] = static_cast<char>(at_some_switch[nic] != 0 || at_a_switch(candidates.affinity[gpu][nic]));
    }
  }
  for (std::size_t gpu = 0; gpu < nearest.size(); ++gpu) {
    NicGroup& own = nearest[gpu];
    if (own.empty() || at_a_switch(candidates.affinity[gpu][own.front()])) {
      continue;
    }
    const auto is_used = [&](std::size_t nic) { return at_some_switch[nic] != 0; };
    if (std::any_of(own.begin(), own.end(), is_used)) {
      std::erase_if(own, [&](std::size_t nic) { return !is_used(nic); });
    }
  }
  return nearest;
}

// Ports and functions of one card, in the order of their first.
std::vector<NicGroup> cards_of(const NicCandidates& candidates, const NicGroup& nics) {
  std::vector<NicGroup> cards;
  for (const std::size_t nic : nics) {
    const auto card = std::find_if(cards.begin(), cards.end(),
                                   [&](const NicGroup& known) { return candidates.one_card[known.front()][nic] != 0; });
    if (card == cards.end()) {
      cards.push_back({nic});
    } else {
      card->push_back(nic);
    }
  }
  return cards;
}

std::vector<NicGroup> one_by_one(const NicGroup& nics) {
  std::vector<NicGroup> out;
  for (const std::size_t nic : nics) {
    out.push_back({nic});
  }
  return out;
}

std::string stem_of(const std::string& name) {
  return name.substr(0, name.find_last_not_of("0123456789") + 1);
}

// Among NICs that nothing else tells apart, those called otherwise than most are for other things (mlx5_an0 beside
// mlx5_ib0 to mlx5_ib7). Two names as frequent say nothing.
NicGroup called_otherwise(const NicCandidates& candidates, const NicGroup& nics) {
  std::map<std::string, std::size_t> count;
  for (const std::size_t nic : nics) {
    ++count[stem_of(candidates.names[nic])];
  }
  const auto most =
      std::max_element(count.begin(), count.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  NicGroup out;
  for (const std::size_t nic : nics) {
    if (2 * count[stem_of(candidates.names[nic])] <= most->second && stem_of(candidates.names[nic]) != most->first) {
      out.push_back(nic);
    }
  }
  return out;
}

// NICs at one switch with `gpus` GPUs: at most one for each.
std::vector<NicGroup> at_switch(const NicCandidates& candidates, const NicGroup& nics, std::size_t gpus,
                                std::vector<std::string>& notes) {
  if (nics.size() <= gpus) {
    return one_by_one(nics);
  }
  NicGroup ordered;
  for (const NicGroup& card : cards_of(candidates, nics)) {
    ordered.insert(ordered.end(), card.begin(), card.end());
  }
  std::vector<NicGroup> out(gpus);
  for (std::size_t i = 0; i < ordered.size(); ++i) {
    out[i * gpus / ordered.size()].push_back(ordered[i]);
  }
  for (const NicGroup& group : out) {
    if (group.size() > 1) {
      notes.push_back(
          fmt::format("{} serve one GPU: ports or functions of one NIC", listed(names_of(candidates, group))));
    }
  }
  return out;
}

// NICs at the host that `gpus` GPUs share: more than two functions of one card are virtual, two are ports.
std::vector<NicGroup> at_host(const NicCandidates& candidates, NicGroup nics, std::size_t gpus,
                              std::vector<std::string>& notes) {
  const auto expected = static_cast<std::size_t>(std::ceil(candidates.like_per_gpu * static_cast<double>(gpus)));
  if (nics.size() > expected) {
    const NicGroup other = called_otherwise(candidates, nics);
    if (!other.empty()) {
      notes.push_back(fmt::format("{} left out: as far as the others and called otherwise, taken for management",
                                  listed(names_of(candidates, other))));
      std::erase_if(nics, [&](std::size_t nic) { return std::find(other.begin(), other.end(), nic) != other.end(); });
    }
  }
  std::vector<NicGroup> out;
  for (const NicGroup& card : cards_of(candidates, nics)) {
    if (card.size() > 2 || (card.size() == 2 && nics.size() > expected)) {
      notes.push_back(
          fmt::format("{} are ports or functions of one card: counted as one NIC", listed(names_of(candidates, card))));
      out.push_back(card);
    } else {
      for (const NicGroup& single : one_by_one(card)) {
        out.push_back(single);
      }
    }
  }
  const std::size_t most = std::max(expected, gpus);
  if (out.size() > most) {
    NicGroup beyond;
    for (std::size_t i = most; i < out.size(); ++i) {
      beyond.insert(beyond.end(), out[i].begin(), out[i].end());
    }
    notes.push_back(fmt::format("{} left out: {} NICs are as far from {} GPUs, and nothing says which serve them",
                                listed(names_of(candidates, beyond)), out.size(), gpus));
    out.resize(most);
  }
  return out;
}

}  // namespace

std::vector<NicGroup> choose_nics(const NicCandidates& candidates, std::vector<std::string>& notes) {
  const std::vector<NicGroup> nearest = nearest_nics(candidates);
  // NICs that serve the same GPUs compete with one another.
  std::map<std::vector<std::size_t>, NicGroup> by_gpus;
  std::map<std::string, std::vector<std::string>> left_out;
  for (std::size_t nic = 0; nic < candidates.names.size(); ++nic) {
    std::vector<std::size_t> gpus;
    Affinity closest = Affinity::kSystem;
    for (std::size_t gpu = 0; gpu < nearest.size(); ++gpu) {
      if (std::find(nearest[gpu].begin(), nearest[gpu].end(), nic) != nearest[gpu].end()) {
        gpus.push_back(gpu);
      }
      closest = std::min(closest, candidates.affinity[gpu][nic]);
    }
    if (gpus.empty()) {
      const char* where = kDistanceWords[static_cast<std::size_t>(closest)];
      const std::string rate = candidates.rates[nic] ? to_text(*candidates.rates[nic]) + ", " : "";
      left_out[fmt::format("{}{} {}", rate, where, closest == Affinity::kSystem ? "every GPU" : "some GPU")].push_back(
          candidates.names[nic]);
    } else {
      by_gpus[gpus].push_back(nic);
    }
  }
  for (const auto& [reason, names] : left_out) {
    notes.push_back(
        fmt::format("{} left out: {}, and every GPU has a better one; taken for storage, management or "
                    "virtual functions",
                    listed(names), reason));
  }
  std::vector<NicGroup> out;
  for (const auto& [gpus, nics] : by_gpus) {
    const bool switched = std::any_of(gpus.begin(), gpus.end(), [&, &others = nics](std::size_t gpu) {
      return at_a_switch(candidates.affinity[gpu][others.front()]);
    });
    for (NicGroup& group :
         switched ? at_switch(candidates, nics, gpus.size(), notes) : at_host(candidates, nics, gpus.size(), notes)) {
      out.push_back(std::move(group));
    }
  }
  return out;  // in the order of the GPUs that they serve
}

}  // namespace trainyard
