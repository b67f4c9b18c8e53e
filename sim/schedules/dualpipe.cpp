// DualPipe: two replicas of the model in opposite directions; the first half of the micro-batches goes down the stages,
// the other half up, and forward passes of one direction run joined with backward passes of the other. Twice the
// parameters, activations of p + 1 passes. Source: DeepSeek-V3, arXiv 2412.19437, section 3.2.1.
#include "sim/schedules/dualpipe_steps.hpp"
#include "sim/schedules/schedule.hpp"

namespace trainyard {

std::vector<PassOrder> dualpipe(const ScheduleShape& shape) {
  const std::int32_t half = shape.stages / 2;
  const std::int32_t of_each = shape.micro_batches / 2;
  std::vector<PassOrder> orders;
  for (std::int32_t stage = 0; stage < shape.stages; ++stage) {
    const bool is_lower = stage >= half;
    orders.push_back(dualpipe_order(half, is_lower ? shape.stages - 1 - stage : stage, of_each, is_lower ? 1 : 0,
                                    StageOrder({0, of_each})));
  }
  return orders;
}

}  // namespace trainyard
