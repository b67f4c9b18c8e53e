#pragma once
// Flow simulations run in child processes (SimGrid keeps its clock) and come back as JSON, whose numbers are read back
// to the bit.
#include <doctest/doctest.h>

#include <functional>

#include "sim/base/fork_pool.hpp"
#include "sim/base/json_reader.hpp"
#include "sim/engine/timeline.hpp"

namespace trainyard::checks {

inline Json timeline_json(const Timeline& timeline) {
  Json ranks = Json::array();
  for (const RankTimeline& rank : timeline.ranks) {
    ranks.push_back({{"rank", rank.rank.value},
                     {"class", rank.program_class.value},
                     {"multiplicity", rank.multiplicity},
                     {"moving", rank.moving},
                     {"end", rank.end}});
  }
  Json links = Json::array();
  for (const LinkUse& link : timeline.links) {
    links.push_back({{"name", link.name}, {"count", link.count}, {"bytes", link.bytes.value}});
  }
  return {{"step", timeline.step.value},
          {"events", timeline.events},
          {"flows_simulated", timeline.flows_simulated},
          {"flows_real", timeline.flows_real},
          {"links_simulated", timeline.links_simulated},
          {"links_real", timeline.links_real},
          {"ranks", std::move(ranks)},
          {"links", std::move(links)}};
}

// What each simulation returns, or {"error": message, "code": exit code} of the UserError it threw. Each runs in a
// child.
inline std::vector<Json> timelines_of(const std::vector<std::function<Timeline()>>& simulations) {
  const auto outputs =
      run_in_children(simulations.size(), available_processors(), [&simulations](std::size_t task) -> std::string {
        try {
          return timeline_json(simulations[task]()).dump();
        } catch (const UserError& error) {
          return Json{{"error", error.what()}, {"code", static_cast<int>(error.code())}}.dump();
        }
      });
  std::vector<Json> timelines;
  for (const auto& output : outputs) {
    REQUIRE_MESSAGE(output.has_value(), "a simulation died");
    timelines.push_back(Json::parse(*output));
  }
  return timelines;
}

inline Json timeline_of(const std::function<Timeline()>& simulation) {
  return timelines_of({simulation}).front();
}

}  // namespace trainyard::checks
