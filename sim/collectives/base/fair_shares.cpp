#include "sim/collectives/base/fair_shares.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

constexpr double kRounding = 1.0 + 1e-13;  // levels that differ by less differ by rounding

}  // namespace

FairShares::FairShares(std::vector<double> capacity, std::vector<std::vector<Crossing>> crossings,
                       const std::vector<double>& limits)
    : links_(capacity.size()), flows_(limits.size()), crossings_(std::move(crossings)) {
  for (std::size_t l = 0; l < capacity.size(); ++l) {
    links_[l].capacity = capacity[l];
  }
  parts_.resize(flows_.size());
  places_.resize(flows_.size());
  for (std::size_t f = 0; f < flows_.size(); ++f) {
    double rate = limits[f] > 0.0 ? limits[f] : std::numeric_limits<double>::infinity();
    for (const Crossing& crossed : crossings_[f]) {
      rate = std::min(rate, link(crossed.link).capacity / crossed.weight);
    }
    flows_[f].alone = rate;
    for (const Crossing& crossed : crossings_[f]) {
      const std::int64_t parts = std::llround(rate / link(crossed.link).capacity * kWhole);
      parts_[f].push_back(static_cast<std::int64_t>(crossed.weight) * parts);
    }
    places_[f].resize(crossings_[f].size());
  }
}

void FairShares::make_stale(std::int32_t number, Changes& changes) {
  if (Link& changed = link(number); !changed.is_stale) {
    changed.is_stale = true;
    changes.stale_.push_back(number);
  }
}

bool FairShares::enter(std::int32_t flow, Changes& changes) {
  const auto f = static_cast<std::size_t>(flow);
  bool fits = true;
  for (std::size_t c = 0; c < crossings_[f].size(); ++c) {
    const std::int32_t number = crossings_[f][c].link;
    Link& crossed = link(number);
    crossed.asked += parts_[f][c];
    places_[f][c] = static_cast<std::int32_t>(crossed.active.size());
    crossed.active.push_back({.flow = flow, .crossing = static_cast<std::int32_t>(c)});
    if (crossed.is_short()) {
      make_stale(number, changes);
      fits = false;
    }
  }
  return fits;
}

void FairShares::leave(std::int32_t flow, Changes& changes) {
  const auto f = static_cast<std::size_t>(flow);
  for (std::size_t c = 0; c < crossings_[f].size(); ++c) {
    const std::int32_t number = crossings_[f][c].link;
    Link& crossed = link(number);
    if (crossed.is_short()) {
      make_stale(number, changes);
    }
    crossed.asked -= parts_[f][c];
    const auto place = static_cast<std::size_t>(places_[f][c]);
    const Link::Entry last = crossed.active.back();
    crossed.active[place] = last;
    places_[static_cast<std::size_t>(last.flow)][static_cast<std::size_t>(last.crossing)] = places_[f][c];
    crossed.active.pop_back();
  }
}

// Flows on stale links, and from there over links that are asked for more than they carry.
void FairShares::find_reached(Changes& changes) {
  changes.reached_links_.clear();
  changes.reached_flows_.clear();
  for (const std::int32_t number : changes.stale_) {
    link(number).found = true;
    changes.reached_links_.push_back(number);
  }
  for (std::size_t next = 0; next < changes.reached_links_.size(); ++next) {
    for (const Link::Entry& entry : link(changes.reached_links_[next]).active) {
      Flow& flow = flows_[static_cast<std::size_t>(entry.flow)];
      if (flow.open) {
        continue;
      }
      flow.open = true;
      changes.reached_flows_.push_back(entry.flow);
      for (const Crossing& crossed : crossings(entry.flow)) {
        if (Link& other = link(crossed.link); !other.found && other.is_short()) {
          other.found = true;
          changes.reached_links_.push_back(crossed.link);
        }
      }
    }
  }
  for (const std::int32_t number : changes.stale_) {
    link(number).is_stale = false;
  }
  changes.stale_.clear();
}

void FairShares::give(std::int32_t flow, double rate, Changes& changes) {
  flows_[static_cast<std::size_t>(flow)].open = false;
  changes.shares_.push_back({.flow = flow, .rate = rate});
  for (const Crossing& crossed : crossings(flow)) {
    if (Link& filled = link(crossed.link); filled.found) {
      if (rate != filled.rate) {
        filled.left -= filled.rate * filled.taken;
        filled.rate = rate;
        filled.taken = 0.0;
      }
      filled.taken += crossed.weight;
      filled.users -= crossed.weight;
    }
  }
}

const std::vector<FairShares::Share>& FairShares::solve(Changes& changes) {
  find_reached(changes);
  changes.shares_.clear();
  for (const std::int32_t number : changes.reached_links_) {
    Link& filled = link(number);
    filled.left = filled.capacity;
    filled.rate = filled.taken = filled.users = 0.0;
    for (const Link::Entry& entry : filled.active) {
      filled.users += crossings(entry.flow)[static_cast<std::size_t>(entry.crossing)].weight;
    }
  }
  const auto fuller = [](const Changes::Level& a, const Changes::Level& b) {
    return a.level > b.level || (a.level == b.level && a.link > b.link);
  };
  changes.levels_.clear();
  for (const std::int32_t number : changes.reached_links_) {
    if (const Link& filled = link(number); filled.is_short()) {
      changes.levels_.push_back({.level = filled.level(), .link = number});
    }
  }
  std::make_heap(changes.levels_.begin(), changes.levels_.end(), fuller);
  std::sort(changes.reached_flows_.begin(), changes.reached_flows_.end(), [this](std::int32_t a, std::int32_t b) {
    const double first = alone(a);
    const double second = alone(b);
    return first < second || (first == second && a < b);
  });
  // The next to stop growing is the flow of the lowest limit or those on the link that is full first. A link's level
  // only rises when flows stop, so what the heap says of it is never too high.
  for (auto next = changes.reached_flows_.begin(); next != changes.reached_flows_.end();) {
    if (!flows_[static_cast<std::size_t>(*next)].open) {
      ++next;
      continue;
    }
    if (changes.levels_.empty() || alone(*next) <= changes.levels_.front().level * kRounding) {
      give(*next, alone(*next), changes);
      ++next;
      continue;
    }
    std::pop_heap(changes.levels_.begin(), changes.levels_.end(), fuller);
    Changes::Level full = changes.levels_.back();
    changes.levels_.pop_back();
    const Link& filled = link(full.link);
    if (filled.users <= 0.0) {
      continue;  // weights are whole numbers: nothing is left of their sum
    }
    const double level = filled.level();
    if (level > full.level * kRounding) {
      full.level = level;
      changes.levels_.push_back(full);
      std::push_heap(changes.levels_.begin(), changes.levels_.end(), fuller);
      continue;
    }
    for (const Link::Entry& entry : filled.active) {
      if (flows_[static_cast<std::size_t>(entry.flow)].open) {
        give(entry.flow, std::min(full.level, alone(entry.flow)), changes);
      }
    }
  }
  for (const std::int32_t number : changes.reached_links_) {
    link(number).found = false;
  }
  return changes.shares_;
}

}  // namespace trainyard
