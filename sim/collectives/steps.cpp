#include "sim/collectives/steps.hpp"

#include "sim/collectives/base/max_min.hpp"

namespace trainyard {

Seconds steps_time(std::span<const Round> rounds, const Fabric& fabric, Seconds per_round) {
  Seconds total{};
  for (const Round& round : rounds) {
    std::vector<Flow> flows;
    for (const StepFlow& step : round) {
      flows.push_back(
          {.from = step.from, .to = step.to, .route = fabric.route(step.from, step.to), .bytes = step.bytes});
    }
    Seconds longest{};
    for (const Seconds end : flow_ends(flows, fabric)) {
      longest = max(longest, end);
    }
    total += per_round + longest;
  }
  return total;
}

}  // namespace trainyard
