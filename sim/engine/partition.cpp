#include "sim/engine/partition.hpp"

#include <algorithm>
#include <numeric>
#include <span>

#include "sim/base/random.hpp"
#include "sim/engine/refinement.hpp"

namespace trainyard {
namespace {

// Numbers classes by first appearance.
std::vector<std::int32_t> numbered(std::vector<std::int32_t> classes) {
  std::vector<std::int32_t> numbers;
  std::int32_t next = 0;
  for (std::int32_t& number : classes) {
    const auto known = static_cast<std::size_t>(number);
    if (known >= numbers.size()) {
      numbers.resize(known + 1, -1);
    }
    if (numbers[known] < 0) {
      numbers[known] = next++;
    }
    number = numbers[known];
  }
  return classes;
}

// Links that nothing uses belong to no class.
std::vector<std::int32_t> by_link(const Fabric& fabric, const LaidOut& laid, const std::vector<std::int32_t>& classes) {
  std::vector<std::int32_t> out(fabric.links().size(), -1);
  for (std::size_t l = 0; l < classes.size(); ++l) {
    out[laid.links[l].index()] = classes[l];
  }
  return out;
}

Partition everyone_alone(const Program& program, const Fabric& fabric, const LaidOut& laid) {
  Partition out{.ranks = std::vector<std::int32_t>(program.ranks()),
                .groups = std::vector<std::int32_t>(laid.groups.size()),
                .flows = std::vector<std::int32_t>(laid.flows.size()),
                .links = std::vector<std::int32_t>(fabric.links().size(), -1)};
  for (std::vector<std::int32_t>* classes : {&out.ranks, &out.groups, &out.flows}) {
    std::iota(classes->begin(), classes->end(), 0);
  }
  std::int32_t next = 0;
  for (const LinkId link : laid.links) {
    out.links[link.index()] = next++;
  }
  return out;
}

// The first member of every class.
std::vector<std::size_t> first_members(const std::vector<std::int32_t>& classes) {
  std::vector<std::size_t> first;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    if (classes[i] == static_cast<std::int32_t>(first.size())) {
      first.push_back(i);
    }
  }
  return first;
}

// Holds what has been found against the definition, without hashes: every member of a class is what the first is.
class Check {
 public:
  Check(const Program& program, const Fabric& fabric, const LaidOut& laid, const Partition& partition,
        LinkSharing sharing)
      : program_(program), fabric_(fabric), laid_(laid), partition_(partition), sharing_(sharing) {}

  bool is_equitable() { return flows_are_alike() && groups_are_alike() && ranks_are_alike() && links_are_alike(); }

 private:
  std::int32_t class_of(LinkId link) const { return partition_.links[link.index()]; }
  const std::vector<RankId>& members(const LaidGroup& group) const {
    return program_.communications[static_cast<std::size_t>(group.communication)]
        .groups[static_cast<std::size_t>(group.index)];
  }
  // Whether two lists hold the same classes equally often. Alike places mostly list them in the same order.
  bool are_same(std::vector<std::int32_t>& a, std::vector<std::int32_t>& b) const {
    if (a != b) {
      std::sort(a.begin(), a.end());
      std::sort(b.begin(), b.end());
    }
    return a == b;
  }

  bool flows_are_alike() const {
    const std::vector<std::size_t> first = first_members(partition_.flows);
    for (std::size_t f = 0; f < laid_.flows.size(); ++f) {
      const LaidFlow& one = laid_.flows[f];
      const LaidFlow& other = laid_.flows[first[static_cast<std::size_t>(partition_.flows[f])]];
      const auto route = laid_.route(one);
      const auto other_route = laid_.route(other);
      const bool same_links = sharing_ == LinkSharing::kNone ||
                              std::equal(route.begin(), route.end(), other_route.begin(), other_route.end(),
                                         [this](LinkId a, LinkId b) { return class_of(a) == class_of(b); });
      if (!same_links || bits_of(one.bytes.value) != bits_of(other.bytes.value) ||
          bits_of(one.rate_limit.value) != bits_of(other.rate_limit.value) ||
          bits_of(one.alone.value) != bits_of(other.alone.value) ||
          partition_.groups[static_cast<std::size_t>(one.group)] !=
              partition_.groups[static_cast<std::size_t>(other.group)]) {
        return false;
      }
    }
    return true;
  }

  void describe(const LaidGroup& group, std::vector<std::int32_t>& ranks, std::vector<std::int32_t>& flows) const {
    ranks.clear();
    for (const RankId rank : members(group)) {
      ranks.push_back(partition_.ranks[rank.index()]);
    }
    const auto begin = partition_.flows.begin() + group.first_flow;
    flows.assign(begin, begin + group.flows);
  }
  bool groups_are_alike() const {
    const std::vector<std::size_t> first = first_members(partition_.groups);
    std::vector<std::int32_t> ranks;
    std::vector<std::int32_t> flows;
    std::vector<std::int32_t> other_ranks;
    std::vector<std::int32_t> other_flows;
    for (std::size_t g = 0; g < laid_.groups.size(); ++g) {
      const LaidGroup& one = laid_.groups[g];
      const LaidGroup& other = laid_.groups[first[static_cast<std::size_t>(partition_.groups[g])]];
      describe(one, ranks, flows);
      describe(other, other_ranks, other_flows);
      if (one.communication != other.communication || bits_of(one.latency.value) != bits_of(other.latency.value) ||
          one.multiprocessors != other.multiprocessors ||
          bits_of(one.memory_rate.value) != bits_of(other.memory_rate.value) || !are_same(ranks, other_ranks) ||
          !are_same(flows, other_flows)) {
        return false;
      }
    }
    return true;
  }

  // Groups of one communication are disjoint: a rank is in one of them or in none.
  bool ranks_are_alike() const {
    const std::vector<std::size_t> first = first_members(partition_.ranks);
    for (std::size_t r = 0; r < program_.ranks(); ++r) {
      const std::size_t other = first[static_cast<std::size_t>(partition_.ranks[r])];
      if (program_.class_of[r] != program_.class_of[other] || apart(program_, r) != apart(program_, other)) {
        return false;
      }
    }
    constexpr std::int32_t kNone = -1;
    std::vector<std::int32_t> group_of(program_.ranks(), kNone);
    for (std::size_t begin = 0, end = 0; begin < laid_.groups.size(); begin = end) {
      const auto each_member = [&](const auto& visit) {
        for (std::size_t g = begin; g < end; ++g) {
          for (const RankId rank : members(laid_.groups[g])) {
            visit(rank.index(), partition_.groups[g]);
          }
        }
      };
      while (end < laid_.groups.size() && laid_.groups[end].communication == laid_.groups[begin].communication) {
        ++end;
      }
      each_member([&](std::size_t rank, std::int32_t group) { group_of[rank] = group; });
      for (std::size_t r = 0; r < program_.ranks(); ++r) {
        if (group_of[r] != group_of[first[static_cast<std::size_t>(partition_.ranks[r])]]) {
          return false;
        }
      }
      each_member([&](std::size_t rank, std::int32_t) { group_of[rank] = kNone; });
    }
    return true;
  }

  bool links_are_alike() const {
    std::vector<std::size_t> begin(fabric_.links().size() + 1, 0);
    for (const LinkId link : laid_.routes) {
      ++begin[link.index() + 1];
    }
    std::partial_sum(begin.begin(), begin.end(), begin.begin());
    std::vector<std::int32_t> flows(laid_.routes.size());  // classes, by link
    std::vector<std::size_t> next(begin.begin(), begin.end() - 1);
    for (std::size_t f = 0; f < laid_.flows.size(); ++f) {
      for (const LinkId link : laid_.route(laid_.flows[f])) {
        flows[next[link.index()]++] = partition_.flows[f];
      }
    }
    const auto through = [&](LinkId link) {
      const std::span all(flows);
      return all.subspan(begin[link.index()], begin[link.index() + 1] - begin[link.index()]);
    };
    std::vector<LinkId> first;
    for (const LinkId link : laid_.links) {
      std::sort(through(link).begin(), through(link).end());
      if (class_of(link) == static_cast<std::int32_t>(first.size())) {
        first.push_back(link);
      }
      const LinkId other = first[static_cast<std::size_t>(class_of(link))];
      const auto same = through(other);
      if (bits_of(fabric_.link(link).bandwidth.value) != bits_of(fabric_.link(other).bandwidth.value) ||
          !std::equal(through(link).begin(), through(link).end(), same.begin(), same.end())) {
        return false;
      }
    }
    return true;
  }

  const Program& program_;
  const Fabric& fabric_;
  const LaidOut& laid_;
  const Partition& partition_;
  LinkSharing sharing_;
};

}  // namespace

bool is_equitable(const Program& program, const Fabric& fabric, const LaidOut& laid, const Partition& partition,
                  LinkSharing sharing) {
  return Check(program, fabric, laid, partition, sharing).is_equitable();
}

Partition equitable_partition(const Program& program, const Fabric& fabric, const LaidOut& laid, Fold fold,
                              LinkSharing sharing) {
  // Two different things of the same 64 bits are found by the check, and told apart by other hashes.
  constexpr std::uint64_t kSalts = 4;
  for (std::uint64_t salt = 0; fold == Fold::kOn && salt < kSalts; ++salt) {
    RefinedClasses classes = refined_classes(program, fabric, laid, sharing, salt);
    Partition found{.ranks = numbered(std::move(classes.ranks)),
                    .groups = numbered(std::move(classes.groups)),
                    .flows = numbered(std::move(classes.flows)),
                    .links = by_link(fabric, laid, numbered(std::move(classes.links)))};
    if (is_equitable(program, fabric, laid, found, sharing)) {
      return found;
    }
  }
  return everyone_alone(program, fabric, laid);
}

}  // namespace trainyard
