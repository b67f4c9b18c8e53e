#include "sim/engine/quotient.hpp"

#include <algorithm>
#include <bit>
#include <unordered_map>
#include <unordered_set>

#include "sim/base/error.hpp"
#include "sim/base/random.hpp"
#include "sim/engine/whole.hpp"

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

Colours first_colours(const Program& program, const Fabric& fabric, const Whole& whole, Fold fold) {
  const auto own = [fold](std::size_t index) { return fold == Fold::kOff ? static_cast<Colour>(index) + 1 : 0; };
  Colours colours;
  for (std::size_t r = 0; r < program.ranks(); ++r) {
    colours.ranks.push_back(
        combine(combine(static_cast<Colour>(program.class_of[r].value), own(r)), apart(program, r)));
  }
  for (std::size_t g = 0; g < whole.groups.size(); ++g) {
    const WholeGroup& group = whole.groups[g];
    const Colour load = combine(static_cast<Colour>(group.multiprocessors), bits(group.memory_rate.value));
    colours.groups.push_back(
        combine(combine(combine(static_cast<Colour>(group.communication), bits(group.latency.value)), load), own(g)));
  }
  for (std::size_t f = 0; f < whole.flows.size(); ++f) {
    const WholeFlow& flow = whole.flows[f];
    colours.flows.push_back(combine(combine(bits(flow.bytes.value), bits(flow.rate_limit.value)), own(f)));
  }
  colours.links.assign(fabric.links().size(), 0);
  for (const LinkId link : whole.links) {
    colours.links[link.index()] = combine(bits(fabric.link(link).bandwidth.value), own(link.index()));
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

Colours stable_colours(const Program& program, const Fabric& fabric, const Whole& whole, Fold fold) {
  Colours colours = first_colours(program, fabric, whole, fold);
  for (std::size_t before = 0, now = colours.classes(); now != before;) {
    before = now;
    refine_once(program, whole, colours);
    now = colours.classes();
  }
  return colours;
}

// Numbers colours by first appearance, so that class numbers do not depend on hash values.
class Numbering {
 public:
  std::pair<std::int32_t, bool> number(Colour colour) {
    const auto [entry, is_new] = numbers_.try_emplace(colour, static_cast<std::int32_t>(numbers_.size()));
    return {entry->second, is_new};
  }

 private:
  std::unordered_map<Colour, std::int32_t> numbers_;
};

}  // namespace

std::vector<std::int32_t> classes_by_groups(const Program& program, const Fabric& fabric) {
  Whole groups;
  for (std::size_t c = 0; c < program.communications.size(); ++c) {
    for (std::size_t g = 0; g < program.communications[c].groups.size(); ++g) {
      groups.groups.push_back({.communication = static_cast<std::int32_t>(c), .index = static_cast<std::int32_t>(g)});
    }
  }
  const Colours colours = stable_colours(program, fabric, groups, Fold::kOn);
  Numbering numbers;
  std::vector<std::int32_t> classes;
  for (const Colour colour : colours.ranks) {
    classes.push_back(numbers.number(colour).first);
  }
  return classes;
}

Quotient fold_program(const Program& program, const Fabric& fabric, const NetworkCosts& costs, Fold fold) {
  TY_ASSERT(program.ranks() <= fabric.devices());
  const Whole whole = lay_out(program, fabric, costs);
  const Colours colours = stable_colours(program, fabric, whole, fold);

  Quotient quotient;
  quotient.flows_real = static_cast<std::int64_t>(whole.flows.size());
  quotient.links_real = static_cast<std::int64_t>(whole.links_used);
  Numbering link_numbers;
  std::vector<std::int32_t> link_class(fabric.links().size(), -1);
  for (const LinkId link : whole.links) {
    const auto [number, is_new] = link_numbers.number(colours.links[link.index()]);
    if (is_new) {
      quotient.links.push_back({.representative = link});
    }
    ++quotient.links[static_cast<std::size_t>(number)].count;
    link_class[link.index()] = number;
  }

  Numbering rank_numbers;
  std::vector<std::int32_t> rank_class(program.ranks());
  for (std::size_t r = 0; r < program.ranks(); ++r) {
    const auto [number, is_new] = rank_numbers.number(colours.ranks[r]);
    if (is_new) {
      quotient.ranks.push_back({.representative = RankId::from(r),
                                .program_class = program.class_of[r],
                                .group_of = std::vector<std::int32_t>(program.communications.size(), -1)});
    }
    ++quotient.ranks[static_cast<std::size_t>(number)].count;
    rank_class[r] = number;
  }

  Numbering flow_numbers;
  std::vector<std::int32_t> flow_class(whole.flows.size());
  for (std::size_t f = 0; f < whole.flows.size(); ++f) {
    const auto [number, is_new] = flow_numbers.number(colours.flows[f]);
    flow_class[f] = number;
    if (is_new) {
      FlowClass& created = quotient.flows.emplace_back();
      created.bytes = whole.flows[f].bytes;
      created.rate_limit = whole.flows[f].rate_limit;
      for (const LinkId link : whole.route(whole.flows[f])) {
        created.links.emplace_back(link_class[link.index()], 0);
      }
    }
    FlowClass& folded = quotient.flows[static_cast<std::size_t>(number)];
    ++folded.count;
    for (std::size_t i = 0; i < whole.route(whole.flows[f]).size(); ++i) {
      const LinkId link = whole.route(whole.flows[f])[i];
      const LinkClass& links = quotient.links[static_cast<std::size_t>(link_class[link.index()])];
      folded.links[i].second += links.representative == link ? 1 : 0;
    }
  }

  Numbering group_numbers;
  for (std::size_t g = 0; g < whole.groups.size(); ++g) {
    const WholeGroup& group = whole.groups[g];
    const auto [number, is_new] = group_numbers.number(colours.groups[g]);
    const auto communication = static_cast<std::size_t>(group.communication);
    const std::vector<RankId>& members =
        program.communications[communication].groups[static_cast<std::size_t>(group.index)];
    if (is_new) {
      GroupClass& created = quotient.groups.emplace_back();
      created.communication = {group.communication};
      created.latency = group.latency;
      created.multiprocessors = group.multiprocessors;
      created.memory_rate = group.memory_rate;
      for (std::int32_t f = group.first_flow; f < group.first_flow + group.flows; ++f) {
        created.flows.push_back(flow_class[static_cast<std::size_t>(f)]);
      }
      for (const RankId rank : members) {
        created.participants.push_back(rank_class[rank.index()]);
      }
      for (auto* list : {&created.flows, &created.participants}) {
        std::sort(list->begin(), list->end());
        list->erase(std::unique(list->begin(), list->end()), list->end());
      }
    }
    ++quotient.groups[static_cast<std::size_t>(number)].count;
    for (const RankId rank : members) {
      RankClass& folded = quotient.ranks[static_cast<std::size_t>(rank_class[rank.index()])];
      if (folded.representative == rank) {
        folded.group_of[communication] = number;
      }
    }
  }
  return quotient;
}

}  // namespace trainyard
