#include "sim/program/memory_estimate.hpp"

#include "sim/layout/memory_meter.hpp"
#include "sim/schedules/schedule.hpp"

namespace trainyard {

MemoryEstimate estimate_memory(const Scenario& scenario, const Layout& layout) {
  const std::vector<PassOrder> orders = pass_orders(scenario);
  std::vector<StageMemory> stages;
  for (std::size_t stage = 0; stage < layout.stages.size(); ++stage) {
    const StageHoldings holdings = stage_holdings(scenario, layout, stage);
    MemoryMeter meter(holdings);
    for (const StagePass& pass : orders[stage]) {
      const auto chunk = static_cast<std::size_t>(pass.chunk);
      switch (pass.kind) {
        case PassKind::kForward:
          meter.begin_forward(chunk);
          break;
        case PassKind::kInputGradient:
          meter.begin_backward(chunk);
          meter.end_input_gradient(chunk);
          break;
        case PassKind::kWeightGradient:
          meter.end_weight_gradient(chunk);
          meter.release_gradients();
          break;
        case PassKind::kBackward:
          meter.begin_backward(chunk);
          meter.end_backward(chunk);
          meter.release_gradients();
          break;
      }
    }
    stages.push_back(meter.peak());
  }
  return make_estimate(std::move(stages), scenario.gpu.memory);
}

}  // namespace trainyard
