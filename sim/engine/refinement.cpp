#include "sim/engine/refinement.hpp"

#include <algorithm>
#include <numeric>
#include <span>
#include <unordered_map>
#include <utility>

#include "sim/base/random.hpp"

namespace trainyard {
namespace {

using Hash = std::uint64_t;
using Node = std::uint32_t;

// Lists of numbers, one after the other.
struct Lists {
  std::vector<std::size_t> first;
  std::vector<Node> all;

  std::span<const Node> of(std::size_t i) const { return std::span(all).subspan(first[i], first[i + 1] - first[i]); }
};

// `for_each` calls with every pair of a list and what is in it, twice in the same order.
template <class ForEach>
Lists lists_of(std::size_t lists, const ForEach& for_each) {
  Lists out{.first = std::vector<std::size_t>(lists + 1, 0), .all = {}};
  for_each([&](std::size_t list, Node) { ++out.first[list + 1]; });
  std::partial_sum(out.first.begin(), out.first.end(), out.first.begin());
  out.all.resize(out.first.back());
  std::vector<std::size_t> next(out.first.begin(), out.first.end() - 1);
  for_each([&](std::size_t list, Node node) { out.all[next[list]++] = node; });
  return out;
}

// Ranks, groups, flows and links in one row, each kind behind the one before it.
class Refinement {
 public:
  Refinement(const Program& program, const Fabric& fabric, const LaidOut& laid, LinkSharing sharing, Hash salt)
      : program_(program),
        laid_(laid),
        sharing_(sharing),
        salt_(salt),
        groups_(program.ranks()),
        flows_(groups_ + laid.groups.size()),
        links_(flows_ + laid.flows.size()),
        class_(links_ + laid.links.size(), 0),
        met_(class_.size(), 0),
        is_dirty_(class_.size(), 0) {
    find_neighbours(fabric);
    begin(fabric);
  }

  RefinedClasses run() {
    while (!dirty_.empty()) {
      split();
    }
    const auto part = [this](std::size_t from, std::size_t to) {
      return std::vector<std::int32_t>(class_.begin() + static_cast<std::ptrdiff_t>(from),
                                       class_.begin() + static_cast<std::ptrdiff_t>(to));
    };
    return {.ranks = part(0, groups_),
            .groups = part(groups_, flows_),
            .flows = part(flows_, links_),
            .links = part(links_, class_.size())};
  }

 private:
  // Some nodes of a class that look the same now.
  struct Part {
    std::int32_t of_class;
    std::int32_t number;  // of the class that they are from now on
    std::int64_t size;
  };

  Node flow_node(std::size_t flow) const { return static_cast<Node>(flows_ + flow); }
  const LaidFlow& flow_at(Node node) const { return laid_.flows[node - flows_]; }
  std::span<const Node> links_of(const LaidFlow& flow) const {
    return std::span(route_).subspan(static_cast<std::size_t>(flow.first_link), static_cast<std::size_t>(flow.links));
  }
  const std::vector<RankId>& members(const LaidGroup& group) const {
    return program_.communications[static_cast<std::size_t>(group.communication)]
        .groups[static_cast<std::size_t>(group.index)];
  }

  void find_neighbours(const Fabric& fabric) {
    std::vector<Node> node_of_link(fabric.links().size(), 0);
    for (std::size_t l = 0; l < laid_.links.size(); ++l) {
      node_of_link[laid_.links[l].index()] = static_cast<Node>(links_ + l);
    }
    route_.reserve(laid_.routes.size());
    for (const LinkId link : laid_.routes) {
      route_.push_back(node_of_link[link.index()]);
    }
    groups_of_rank_ = lists_of(groups_, [this](const auto& add) {
      for (std::size_t g = 0; g < laid_.groups.size(); ++g) {
        for (const RankId rank : members(laid_.groups[g])) {
          add(rank.index(), static_cast<Node>(groups_ + g));
        }
      }
    });
    flows_of_link_ = lists_of(laid_.links.size(), [this](const auto& add) {
      for (std::size_t f = 0; f < laid_.flows.size(); ++f) {
        for (const Node link : links_of(laid_.flows[f])) {
          add(link - links_, flow_node(f));
        }
      }
    });
  }

  // By what is the same about them, whomever they meet.
  Hash look(const Fabric& fabric, Node node) const {
    if (node < groups_) {
      return combine(combine(combine(salt_, 1), static_cast<Hash>(program_.class_of[node].value)),
                     apart(program_, node));
    }
    if (node < flows_) {
      const LaidGroup& group = laid_.groups[node - groups_];
      const Hash load = combine(static_cast<Hash>(group.multiprocessors), bits_of(group.memory_rate.value));
      return combine(
          combine(combine(combine(salt_, 2), static_cast<Hash>(group.communication)), bits_of(group.latency.value)),
          load);
    }
    if (node < links_) {
      const LaidFlow& flow = flow_at(node);
      const Hash pace = combine(bits_of(flow.rate_limit.value), bits_of(flow.alone.value));
      return combine(combine(combine(salt_, 3), bits_of(flow.bytes.value)), pace);
    }
    return combine(combine(salt_, 4), bits_of(fabric.link(laid_.links[node - links_]).bandwidth.value));
  }

  void begin(const Fabric& fabric) {
    std::unordered_map<Hash, std::int32_t> numbers;
    for (Node node = 0; node < class_.size(); ++node) {
      const auto [known, is_new] = numbers.try_emplace(look(fabric, node), static_cast<std::int32_t>(sizes_.size()));
      if (is_new) {
        sizes_.push_back(0);
      }
      class_[node] = known->second;
      ++sizes_[static_cast<std::size_t>(known->second)];
    }
    for (Node node = 0; node < class_.size(); ++node) {
      const Hash hash = hash_of(class_[node]);
      for_who_counts(node, [&](Node other) { met_[other] += hash; });
      touch(node);
    }
  }

  Hash hash_of(std::int32_t number) const { return combine(salt_, static_cast<Hash>(number)); }

  // Those who count how many they meet of this node's class.
  template <class Do>
  void for_who_counts(Node node, const Do& visit) const {
    if (node < groups_) {
      std::for_each(groups_of_rank_.of(node).begin(), groups_of_rank_.of(node).end(), visit);
    } else if (node < flows_) {
      for (const RankId rank : members(laid_.groups[node - groups_])) {
        visit(static_cast<Node>(rank.index()));
      }
    } else if (node < links_) {
      visit(static_cast<Node>(groups_ + static_cast<std::size_t>(flow_at(node).group)));
      std::for_each(links_of(flow_at(node)).begin(), links_of(flow_at(node)).end(), visit);
    }
  }
  // Flows whose route or group a node is.
  template <class Do>
  void for_its_flows(Node node, const Do& visit) const {
    if (node >= groups_ && node < flows_) {
      const LaidGroup& group = laid_.groups[node - groups_];
      for (std::int32_t f = group.first_flow; f < group.first_flow + group.flows; ++f) {
        visit(flow_node(static_cast<std::size_t>(f)));
      }
    } else if (node >= links_ && sharing_ == LinkSharing::kPossible) {
      std::for_each(flows_of_link_.of(node - links_).begin(), flows_of_link_.of(node - links_).end(), visit);
    }
  }

  void touch(Node node) {
    if (is_dirty_[node] == 0 && sizes_[static_cast<std::size_t>(class_[node])] > 1) {
      is_dirty_[node] = 1;
      dirty_.push_back(node);
    }
  }

  // What a node meets: of a flow its group and its links in their order, of others how many of each class.
  Hash meets(Node node) const {
    if (node < flows_ || node >= links_) {
      return met_[node];
    }
    const LaidFlow& flow = flow_at(node);
    Hash hash = hash_of(class_[groups_ + static_cast<std::size_t>(flow.group)]);
    if (sharing_ == LinkSharing::kPossible) {
      for (const Node link : links_of(flow)) {
        hash = combine(hash, static_cast<Hash>(class_[link]));
      }
    }
    return hash;
  }

  // Parts classes by what the dirty nodes meet now. Those that nobody looked at still meet what they all did: they stay
  // together and keep the class, or else the largest part does.
  void split() {
    const std::vector<Node> looked_at = std::exchange(dirty_, {});
    std::vector<Part> parts;
    std::vector<std::uint32_t> part_of;
    part_of.reserve(looked_at.size());
    std::unordered_map<Hash, std::uint32_t> known;
    for (const Node node : looked_at) {
      is_dirty_[node] = 0;
      const Hash key = combine(meets(node), static_cast<Hash>(class_[node]));
      const auto [found, is_new] = known.try_emplace(key, static_cast<std::uint32_t>(parts.size()));
      if (is_new) {
        parts.push_back({.of_class = class_[node], .number = -1, .size = 0});
      }
      ++parts[found->second].size;
      part_of.push_back(found->second);
    }
    number(parts);
    for (std::size_t i = 0; i < looked_at.size(); ++i) {
      if (const Part& part = parts[part_of[i]]; part.number != part.of_class) {
        change(looked_at[i], part.number);
      }
    }
  }

  void number(std::vector<Part>& parts) {
    struct Split {
      std::int64_t rest;
      std::size_t largest;
    };
    std::unordered_map<std::int32_t, Split> splits;
    for (std::size_t p = 0; p < parts.size(); ++p) {
      const std::int64_t all = sizes_[static_cast<std::size_t>(parts[p].of_class)];
      Split& split = splits.try_emplace(parts[p].of_class, Split{.rest = all, .largest = p}).first->second;
      split.rest -= parts[p].size;
      split.largest = parts[p].size > parts[split.largest].size ? p : split.largest;
    }
    for (std::size_t p = 0; p < parts.size(); ++p) {
      Part& part = parts[p];
      const Split& split = splits.at(part.of_class);
      if (split.rest == 0 && split.largest == p) {
        part.number = part.of_class;
        continue;
      }
      part.number = static_cast<std::int32_t>(sizes_.size());
      sizes_.push_back(part.size);
      sizes_[static_cast<std::size_t>(part.of_class)] -= part.size;
    }
  }

  void change(Node node, std::int32_t number) {
    const Hash difference = hash_of(number) - hash_of(class_[node]);
    class_[node] = number;
    for_who_counts(node, [&](Node other) {
      met_[other] += difference;
      touch(other);
    });
    for_its_flows(node, [this](Node flow) { touch(flow); });
  }

  const Program& program_;
  const LaidOut& laid_;
  LinkSharing sharing_;
  Hash salt_;
  std::size_t groups_;  // where each kind begins
  std::size_t flows_;
  std::size_t links_;
  std::vector<Node> route_;  // LaidOut::routes as nodes
  Lists groups_of_rank_;
  Lists flows_of_link_;
  std::vector<std::int32_t> class_;  // of every node
  std::vector<Hash> met_;            // sum of the hashes of the classes it meets
  std::vector<char> is_dirty_;
  std::vector<Node> dirty_;          // to be looked at
  std::vector<std::int64_t> sizes_;  // by class
};

}  // namespace

std::uint64_t apart(const Program& program, std::size_t rank) {
  const Variation& variation = program.variation;
  return combine(bits_of(variation.slowness_of(RankId::from(rank))),
                 variation.jitters() ? static_cast<Hash>(rank) + 1 : 0);
}

RefinedClasses refined_classes(const Program& program, const Fabric& fabric, const LaidOut& laid, LinkSharing sharing,
                               std::uint64_t salt) {
  return Refinement(program, fabric, laid, sharing, salt).run();
}

}  // namespace trainyard
