#include "sim/engine/partition.hpp"

#include <algorithm>
#include <bit>
#include <numeric>
#include <span>
#include <unordered_map>
#include <unordered_set>

#include "sim/base/random.hpp"

namespace trainyard {
namespace {

using Colour = std::uint64_t;

Colour bits(double value) {
  return std::bit_cast<Colour>(value);
}

std::size_t distinct(const std::vector<Colour>& colours) {
  return std::unordered_set<Colour>(colours.begin(), colours.end()).size();
}

struct Colours {
  std::vector<Colour> ranks;
  std::vector<Colour> groups;
  std::vector<Colour> flows;
  std::vector<Colour> links;  // indexed by LinkId

  std::size_t classes() const { return distinct(ranks) + distinct(groups) + distinct(flows) + distinct(links); }
};

// What sets a rank apart from others of its program: its GPU's pace, and everything where all draw for themselves.
Colour apart(const Program& program, std::size_t rank) {
  const Variation& variation = program.variation;
  return combine(bits(variation.slowness_of(RankId::from(rank))),
                 variation.jitters() ? static_cast<Colour>(rank) + 1 : 0);
}

// Colours under another salt are other hashes of the same.
Colours first_colours(const Program& program, const Fabric& fabric, const Whole& whole, Colour salt) {
  Colours colours;
  for (std::size_t r = 0; r < program.ranks(); ++r) {
    colours.ranks.push_back(combine(combine(salt, static_cast<Colour>(program.class_of[r].value)), apart(program, r)));
  }
  for (std::size_t g = 0; g < whole.groups.size(); ++g) {
    const WholeGroup& group = whole.groups[g];
    const Colour load = combine(static_cast<Colour>(group.multiprocessors), bits(group.memory_rate.value));
    colours.groups.push_back(
        combine(combine(combine(salt, static_cast<Colour>(group.communication)), bits(group.latency.value)), load));
  }
  for (std::size_t f = 0; f < whole.flows.size(); ++f) {
    const WholeFlow& flow = whole.flows[f];
    colours.flows.push_back(combine(combine(salt, bits(flow.bytes.value)), bits(flow.rate_limit.value)));
  }
  colours.links.assign(fabric.links().size(), 0);
  for (const LinkId link : whole.links) {
    colours.links[link.index()] = combine(salt, bits(fabric.link(link).bandwidth.value));
  }
  return colours;
}

void refine_once(const Program& program, const Whole& whole, Colours& colours) {
  std::vector<Colour> links = colours.links;
  std::vector<Colour> groups = colours.groups;
  std::vector<Colour> ranks = colours.ranks;
  for (std::size_t f = 0; f < whole.flows.size(); ++f) {
    const WholeFlow& flow = whole.flows[f];
    const auto group = static_cast<std::size_t>(flow.group);
    Colour colour = combine(colours.flows[f], colours.groups[group]);
    for (const LinkId link : whole.route(flow)) {
      colour = combine(colour, colours.links[link.index()]);
    }
    colours.flows[f] = colour;
    groups[group] += mix(colour);
    for (const LinkId link : whole.route(flow)) {
      links[link.index()] += mix(colour ^ 0x5bd1e995U);
    }
  }
  for (std::size_t g = 0; g < whole.groups.size(); ++g) {
    const WholeGroup& group = whole.groups[g];
    const Communication& communication = program.communications[static_cast<std::size_t>(group.communication)];
    const std::vector<RankId>& members = communication.groups[static_cast<std::size_t>(group.index)];
    for (const RankId rank : members) {
      groups[g] += mix(colours.ranks[rank.index()] ^ 0x3c6ef372U);
    }
    groups[g] = mix(groups[g]);
    for (const RankId rank : members) {
      ranks[rank.index()] += combine(static_cast<Colour>(group.communication), groups[g]);
    }
  }
  for (Colour& colour : ranks) {
    colour = mix(colour);
  }
  for (const LinkId link : whole.links) {
    links[link.index()] = mix(links[link.index()]);
  }
  colours.links = std::move(links);
  colours.groups = std::move(groups);
  colours.ranks = std::move(ranks);
}

Colours stable_colours(const Program& program, const Fabric& fabric, const Whole& whole, Colour salt) {
  Colours colours = first_colours(program, fabric, whole, salt);
  for (std::size_t before = 0, now = colours.classes(); now != before;) {
    before = now;
    refine_once(program, whole, colours);
    now = colours.classes();
  }
  return colours;
}

// Numbers colours by first appearance, so that class numbers do not depend on hash values.
std::vector<std::int32_t> numbered(const std::vector<Colour>& colours) {
  std::unordered_map<Colour, std::int32_t> numbers;
  std::vector<std::int32_t> out;
  out.reserve(colours.size());
  for (const Colour colour : colours) {
    out.push_back(numbers.try_emplace(colour, static_cast<std::int32_t>(numbers.size())).first->second);
  }
  return out;
}

// Links that nothing uses belong to no class.
std::vector<std::int32_t> numbered_links(const Whole& whole, const std::vector<Colour>& colours) {
  std::vector<Colour> used;
  for (const LinkId link : whole.links) {
    used.push_back(colours[link.index()]);
  }
  const std::vector<std::int32_t> classes = numbered(used);
  std::vector<std::int32_t> out(colours.size(), -1);
  for (std::size_t i = 0; i < classes.size(); ++i) {
    out[whole.links[i].index()] = classes[i];
  }
  return out;
}

Partition everyone_alone(const Program& program, const Fabric& fabric, const Whole& whole) {
  Partition out{.ranks = std::vector<std::int32_t>(program.ranks()),
                .groups = std::vector<std::int32_t>(whole.groups.size()),
                .flows = std::vector<std::int32_t>(whole.flows.size()),
                .links = std::vector<std::int32_t>(fabric.links().size(), -1)};
  for (std::vector<std::int32_t>* classes : {&out.ranks, &out.groups, &out.flows}) {
    std::iota(classes->begin(), classes->end(), 0);
  }
  std::int32_t next = 0;
  for (const LinkId link : whole.links) {
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
  Check(const Program& program, const Fabric& fabric, const Whole& whole, const Partition& partition)
      : program_(program), fabric_(fabric), whole_(whole), partition_(partition) {}

  bool is_equitable() { return flows_are_alike() && groups_are_alike() && ranks_are_alike() && links_are_alike(); }

 private:
  std::int32_t class_of(LinkId link) const { return partition_.links[link.index()]; }
  const std::vector<RankId>& members(const WholeGroup& group) const {
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
    for (std::size_t f = 0; f < whole_.flows.size(); ++f) {
      const WholeFlow& one = whole_.flows[f];
      const WholeFlow& other = whole_.flows[first[static_cast<std::size_t>(partition_.flows[f])]];
      const auto route = whole_.route(one);
      const auto other_route = whole_.route(other);
      const bool same_links = std::equal(route.begin(), route.end(), other_route.begin(), other_route.end(),
                                         [this](LinkId a, LinkId b) { return class_of(a) == class_of(b); });
      if (!same_links || bits(one.bytes.value) != bits(other.bytes.value) ||
          bits(one.rate_limit.value) != bits(other.rate_limit.value) ||
          partition_.groups[static_cast<std::size_t>(one.group)] !=
              partition_.groups[static_cast<std::size_t>(other.group)]) {
        return false;
      }
    }
    return true;
  }

  void describe(const WholeGroup& group, std::vector<std::int32_t>& ranks, std::vector<std::int32_t>& flows) const {
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
    for (std::size_t g = 0; g < whole_.groups.size(); ++g) {
      const WholeGroup& one = whole_.groups[g];
      const WholeGroup& other = whole_.groups[first[static_cast<std::size_t>(partition_.groups[g])]];
      describe(one, ranks, flows);
      describe(other, other_ranks, other_flows);
      if (one.communication != other.communication || bits(one.latency.value) != bits(other.latency.value) ||
          one.multiprocessors != other.multiprocessors ||
          bits(one.memory_rate.value) != bits(other.memory_rate.value) || !are_same(ranks, other_ranks) ||
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
    for (std::size_t begin = 0, end = 0; begin < whole_.groups.size(); begin = end) {
      const auto each_member = [&](const auto& visit) {
        for (std::size_t g = begin; g < end; ++g) {
          for (const RankId rank : members(whole_.groups[g])) {
            visit(rank.index(), partition_.groups[g]);
          }
        }
      };
      while (end < whole_.groups.size() && whole_.groups[end].communication == whole_.groups[begin].communication) {
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
    for (const LinkId link : whole_.routes) {
      ++begin[link.index() + 1];
    }
    std::partial_sum(begin.begin(), begin.end(), begin.begin());
    std::vector<std::int32_t> flows(whole_.routes.size());  // classes, by link
    std::vector<std::size_t> next(begin.begin(), begin.end() - 1);
    for (std::size_t f = 0; f < whole_.flows.size(); ++f) {
      for (const LinkId link : whole_.route(whole_.flows[f])) {
        flows[next[link.index()]++] = partition_.flows[f];
      }
    }
    const auto through = [&](LinkId link) {
      const std::span all(flows);
      return all.subspan(begin[link.index()], begin[link.index() + 1] - begin[link.index()]);
    };
    std::vector<LinkId> first;
    for (const LinkId link : whole_.links) {
      std::sort(through(link).begin(), through(link).end());
      if (class_of(link) == static_cast<std::int32_t>(first.size())) {
        first.push_back(link);
      }
      const LinkId other = first[static_cast<std::size_t>(class_of(link))];
      const auto same = through(other);
      if (bits(fabric_.link(link).bandwidth.value) != bits(fabric_.link(other).bandwidth.value) ||
          !std::equal(through(link).begin(), through(link).end(), same.begin(), same.end())) {
        return false;
      }
    }
    return true;
  }

  const Program& program_;
  const Fabric& fabric_;
  const Whole& whole_;
  const Partition& partition_;
};

}  // namespace

bool is_equitable(const Program& program, const Fabric& fabric, const Whole& whole, const Partition& partition) {
  return Check(program, fabric, whole, partition).is_equitable();
}

Partition equitable_partition(const Program& program, const Fabric& fabric, const Whole& whole, Fold fold) {
  // Two different things of the same 64 bits are found by the check, and told apart by other hashes.
  constexpr Colour kSalts = 4;
  for (Colour salt = 0; fold == Fold::kOn && salt < kSalts; ++salt) {
    const Colours colours = stable_colours(program, fabric, whole, salt);
    Partition found{.ranks = numbered(colours.ranks),
                    .groups = numbered(colours.groups),
                    .flows = numbered(colours.flows),
                    .links = numbered_links(whole, colours.links)};
    if (is_equitable(program, fabric, whole, found)) {
      return found;
    }
  }
  return everyone_alone(program, fabric, whole);
}

}  // namespace trainyard
