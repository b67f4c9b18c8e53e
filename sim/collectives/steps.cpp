#include "sim/collectives/steps.hpp"

#include <algorithm>

#include "sim/collectives/max_min.hpp"

namespace trainyard {

bool serves_reductions(CollectiveOp op) {
  return op == CollectiveOp::kAllReduce || op == CollectiveOp::kAllGather || op == CollectiveOp::kReduceScatter;
}

bool serves_all_reduce(CollectiveOp op) {
  return op == CollectiveOp::kAllReduce;
}

bool serves_exchanges(CollectiveOp op) {
  return op == CollectiveOp::kAllGather || op == CollectiveOp::kAllToAll;
}

bool serves_all(CollectiveOp op) {
  return op != CollectiveOp::kSendRecv && op != CollectiveOp::kBarrier;
}

const SteppedAlgorithm* find_stepped_algorithm(std::string_view name) {
  const auto found = std::find_if(kSteppedAlgorithms.begin(), kSteppedAlgorithms.end(),
                                  [&](const SteppedAlgorithm& algorithm) { return algorithm.name == name; });
  return found == kSteppedAlgorithms.end() ? nullptr : &*found;
}

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
