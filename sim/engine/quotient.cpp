#include "sim/engine/quotient.hpp"

#include <algorithm>

#include "sim/engine/partition.hpp"

namespace trainyard {
namespace {

using Crossings = std::vector<std::pair<std::int32_t, std::int32_t>>;

// One entry for every link class: those of the same in one.
void add_up(Crossings& crossings) {
  std::sort(crossings.begin(), crossings.end());
  Crossings sums;
  for (const auto& [link, weight] : crossings) {
    if (sums.empty() || sums.back().first != link) {
      sums.emplace_back(link, 0);
    }
    sums.back().second += weight;
  }
  crossings = std::move(sums);
}

}  // namespace

Quotient fold_laid_out(const Program& program, const Fabric& fabric, const LaidOut& laid, Fold fold,
                       LinkSharing sharing) {
  const Partition classes = equitable_partition(program, fabric, laid, fold, sharing);
  // Classes are numbered by their first members.
  const auto is_first = [](std::int32_t number, const auto& known) {
    return static_cast<std::size_t>(number) == known.size();
  };
  Quotient quotient;
  quotient.flows_real = static_cast<std::int64_t>(laid.flows.size());
  quotient.links_real = static_cast<std::int64_t>(laid.links_used);
  for (const LinkId link : laid.links) {
    const std::int32_t number = classes.links[link.index()];
    if (is_first(number, quotient.links)) {
      quotient.links.push_back({.representative = link});
    }
    ++quotient.links[static_cast<std::size_t>(number)].count;
  }

  for (std::size_t r = 0; r < program.ranks(); ++r) {
    const std::int32_t number = classes.ranks[r];
    if (is_first(number, quotient.ranks)) {
      quotient.ranks.push_back({.representative = RankId::from(r),
                                .program_class = program.class_of[r],
                                .group_of = std::vector<std::int32_t>(program.communications.size(), -1)});
    }
    ++quotient.ranks[static_cast<std::size_t>(number)].count;
  }

  for (std::size_t f = 0; f < laid.flows.size(); ++f) {
    const std::int32_t number = classes.flows[f];
    if (is_first(number, quotient.flows)) {
      FlowClass& created = quotient.flows.emplace_back();
      created.bytes = laid.flows[f].bytes;
      created.rate_limit = laid.flows[f].rate_limit;
      created.alone = laid.flows[f].alone;
      if (sharing == LinkSharing::kPossible) {
        for (const LinkId link : laid.route(laid.flows[f])) {
          created.links.emplace_back(classes.links[link.index()], 0);
        }
      }
    }
    FlowClass& folded = quotient.flows[static_cast<std::size_t>(number)];
    ++folded.count;
    for (std::size_t i = 0; i < laid.route(laid.flows[f]).size(); ++i) {
      const LinkId link = laid.route(laid.flows[f])[i];
      const LinkClass& links = quotient.links[static_cast<std::size_t>(classes.links[link.index()])];
      const int weight = links.representative == link ? 1 : 0;
      if (sharing == LinkSharing::kPossible) {
        folded.links[i].second += weight;
      } else if (weight > 0) {
        folded.links.emplace_back(classes.links[link.index()], weight);
      }
    }
  }
  if (sharing == LinkSharing::kNone) {
    for (FlowClass& flow : quotient.flows) {
      add_up(flow.links);
    }
  }

  for (std::size_t g = 0; g < laid.groups.size(); ++g) {
    const LaidGroup& group = laid.groups[g];
    const std::int32_t number = classes.groups[g];
    const auto communication = static_cast<std::size_t>(group.communication);
    const std::vector<RankId>& members =
        program.communications[communication].groups[static_cast<std::size_t>(group.index)];
    if (is_first(number, quotient.groups)) {
      GroupClass& created = quotient.groups.emplace_back();
      created.communication = {group.communication};
      created.latency = group.latency;
      created.multiprocessors = group.multiprocessors;
      created.memory_rate = group.memory_rate;
      for (std::int32_t f = group.first_flow; f < group.first_flow + group.flows; ++f) {
        created.flows.push_back(classes.flows[static_cast<std::size_t>(f)]);
      }
      for (const RankId rank : members) {
        created.participants.push_back(classes.ranks[rank.index()]);
      }
      for (auto* list : {&created.flows, &created.participants}) {
        std::sort(list->begin(), list->end());
        list->erase(std::unique(list->begin(), list->end()), list->end());
      }
    }
    ++quotient.groups[static_cast<std::size_t>(number)].count;
    for (const RankId rank : members) {
      RankClass& folded = quotient.ranks[static_cast<std::size_t>(classes.ranks[rank.index()])];
      if (folded.representative == rank) {
        folded.group_of[communication] = number;
      }
    }
  }
  return quotient;
}

}  // namespace trainyard
