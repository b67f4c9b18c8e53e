// DualPipeV: DualPipe cut in half. Two chunks per stage in a V take the place of the two replicas, so no parameter is
// held twice; the last stage turns the direction. Source: deepseek-ai/DualPipe, dualpipe/dualpipev.py.
#include "sim/schedules/dualpipe_steps.hpp"
#include "sim/schedules/schedule.hpp"

namespace trainyard {

std::vector<PassOrder> dualpipe_v(const ScheduleShape& shape) {
  std::vector<PassOrder> orders;
  for (std::int32_t stage = 0; stage < shape.stages; ++stage) {
    orders.push_back(dualpipe_order(shape.stages, stage, shape.micro_batches, 0, StageOrder()));
  }
  return orders;
}

}  // namespace trainyard
