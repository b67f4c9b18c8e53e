#include "sim/engine/islands.hpp"

#include <algorithm>
#include <array>
#include <boost/pending/disjoint_sets.hpp>
#include <limits>
#include <numeric>

namespace trainyard {
namespace {

constexpr std::size_t kSlices = 64;
constexpr double kMostApart = 1.0 / 8.0;  // of the program, for what crosses between islands
constexpr std::int32_t kNever = std::numeric_limits<std::int32_t>::max();

// How often the rank that calls it most calls each communication that has more than one member.
std::vector<std::int32_t> calls_of(const Program& program, const Quotient& quotient) {
  std::vector<std::int32_t> most(program.communications.size(), 0);
  for (const RankProgram& one : program.classes) {
    std::vector<std::int32_t> calls(most.size(), 0);
    for (const CommunicationId id : one.communications) {
      most[id.index()] = std::max(most[id.index()], ++calls[id.index()]);
    }
  }
  std::vector<char> meets(most.size(), 0);
  for (const GroupClass& group : quotient.groups) {
    if (group.participants.size() > 1) {
      meets[group.communication.index()] = 1;
    }
  }
  for (std::size_t c = 0; c < most.size(); ++c) {
    most[c] = meets[c] != 0 ? most[c] : kNever;
  }
  return most;
}

// Of a program's slices of equal numbers of operations: how often the rarest communication in each is called.
std::array<std::int32_t, kSlices> rarest_by_slice(const RankProgram& program, const std::vector<std::int32_t>& calls) {
  std::array<std::int32_t, kSlices> rarest;
  rarest.fill(kNever);
  for (std::size_t i = 0; i < program.operations.size(); ++i) {
    const Operation& operation = program.operations[i];
    std::int32_t& slice = rarest[i * kSlices / program.operations.size()];
    for (std::uint32_t c = 0; c < operation.communications; ++c) {
      slice = std::min(slice, calls[program.communications[operation.first_communication + c].index()]);
    }
  }
  return rarest;
}

// Communications that are called at most so often are rare: together they fall into an eighth of the program.
std::int32_t rare_calls(const Program& program, const Quotient& quotient, const std::vector<std::int32_t>& calls) {
  std::vector<std::array<std::int32_t, kSlices>> rarest;
  for (const RankProgram& one : program.classes) {
    rarest.push_back(rarest_by_slice(one, calls));
  }
  std::vector<std::int32_t> all;
  for (const RankClass& rank : quotient.ranks) {
    const auto& of_rank = rarest[rank.program_class.index()];
    all.insert(all.end(), of_rank.begin(), of_rank.end());
  }
  if (all.empty()) {
    return 0;
  }
  // The slice just beyond an eighth must not count as rare.
  const auto beyond = all.begin() + static_cast<std::ptrdiff_t>(static_cast<double>(all.size() - 1) * kMostApart) + 1;
  if (beyond >= all.end()) {
    return 0;
  }
  std::nth_element(all.begin(), beyond, all.end());
  return *beyond == kNever ? kNever - 1 : *beyond - 1;
}

// Ranks, and behind them links, that hang together.
class Together {
 public:
  explicit Together(const Quotient& quotient)
      : quotient_(quotient),
        parent_(quotient.ranks.size() + quotient.links.size()),
        size_(parent_.size(), 0),
        sets_(size_.data(), parent_.data()),
        on_island_(quotient.links.size(), 0) {
    for (std::size_t i = 0; i < parent_.size(); ++i) {
      sets_.make_set(i);
    }
  }

  void join(const GroupClass& group) {
    for (const std::int32_t rank : group.participants) {
      sets_.union_set(rank_at(group.participants.front()), rank_at(rank));
    }
    for_links(group, [&](std::size_t link) {
      sets_.union_set(rank_at(group.participants.front()), link_at(link));
      on_island_[link] = 1;
    });
  }
  // Whether a group's links belong to its members' islands or to none.
  bool is_at_home(const GroupClass& group) {
    std::vector<std::size_t> islands;
    for (const std::int32_t rank : group.participants) {
      islands.push_back(sets_.find_set(rank_at(rank)));
    }
    bool all = true;
    for_links(group, [&](std::size_t link) {
      all = all && (on_island_[link] == 0 ||
                    std::find(islands.begin(), islands.end(), sets_.find_set(link_at(link))) != islands.end());
    });
    return all;
  }
  bool is_on_one(const GroupClass& group) {
    return std::all_of(group.participants.begin(), group.participants.end(), [&](std::int32_t rank) {
      return sets_.find_set(rank_at(rank)) == sets_.find_set(rank_at(group.participants.front()));
    });
  }
  std::size_t island_of(std::size_t rank) { return sets_.find_set(rank); }

 private:
  static std::size_t rank_at(std::int32_t rank) { return static_cast<std::size_t>(rank); }
  std::size_t link_at(std::size_t link) const { return quotient_.ranks.size() + link; }
  template <class Do>
  void for_links(const GroupClass& group, const Do& visit) const {
    for (const std::int32_t flow : group.flows) {
      for (const auto& [link, weight] : quotient_.flows[static_cast<std::size_t>(flow)].links) {
        visit(static_cast<std::size_t>(link));
      }
    }
  }

  const Quotient& quotient_;
  std::vector<std::size_t> parent_;
  std::vector<std::size_t> size_;
  boost::disjoint_sets<std::size_t*, std::size_t*> sets_;
  std::vector<char> on_island_;  // by link: a group of an island uses it
};

}  // namespace

Islands one_island(const Program& program, const Quotient& quotient) {
  return {.count = 1,
          .of_rank = std::vector<std::int32_t>(quotient.ranks.size(), 0),
          .of_group = std::vector<std::int32_t>(quotient.groups.size(), 0),
          .across = std::vector<char>(program.communications.size(), 0)};
}

Islands find_islands(const Program& program, const Quotient& quotient) {
  const std::vector<std::int32_t> calls = calls_of(program, quotient);
  const std::int32_t rare = rare_calls(program, quotient, calls);
  Together together(quotient);
  std::vector<const GroupClass*> left_out;
  for (const GroupClass& group : quotient.groups) {
    if (calls[group.communication.index()] <= rare) {
      left_out.push_back(&group);
    } else {
      together.join(group);
    }
  }
  // What would touch an island that it has no member on is left out no more, nor what stays on one.
  for (bool changed = true; changed;) {
    changed = false;
    std::erase_if(left_out, [&](const GroupClass* group) {
      if (together.is_at_home(*group) && !together.is_on_one(*group)) {
        return false;
      }
      together.join(*group);
      changed = true;
      return true;
    });
  }
  Islands out = one_island(program, quotient);
  std::vector<std::int32_t> number(quotient.ranks.size() + quotient.links.size(), -1);
  out.count = 0;
  for (std::size_t r = 0; r < quotient.ranks.size(); ++r) {
    std::int32_t& island = number[together.island_of(r)];
    if (island < 0) {
      island = static_cast<std::int32_t>(out.count++);
    }
    out.of_rank[r] = island;
  }
  for (const GroupClass* group : left_out) {
    out.across[group->communication.index()] = 1;
  }
  for (std::size_t g = 0; g < quotient.groups.size(); ++g) {
    const GroupClass& group = quotient.groups[g];
    out.of_group[g] = out.across[group.communication.index()] != 0
                          ? Islands::kAcross
                          : out.of_rank[static_cast<std::size_t>(group.participants.front())];
  }
  return out;
}

}  // namespace trainyard
