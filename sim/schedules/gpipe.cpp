// GPipe: all forward passes, then all backward passes in reverse order (arXiv 1811.06965).
#include "sim/schedules/schedule.hpp"
#include "sim/schedules/stage_actions.hpp"

namespace trainyard {

std::vector<PassOrder> gpipe(const ScheduleShape& shape) {
  PassOrder order;
  for (std::int32_t m = 0; m < shape.micro_batches; ++m) {
    order.push_back({PassKind::kForward, m, 0});
  }
  for (std::int32_t m = shape.micro_batches - 1; m >= 0; --m) {
    order.push_back({PassKind::kBackward, m, 0});
  }
  return {static_cast<std::size_t>(shape.stages), order};
}

StageActionList gpipe_exchanges(const ScheduleShape& shape, std::int32_t stage) {
  StageActions actions(shape, stage);
  for (std::int32_t m = 0; m < shape.micro_batches; ++m) {
    actions.forward_alone(m, 0);
  }
  for (std::int32_t m = shape.micro_batches - 1; m >= 0; --m) {
    actions.backward_alone(m, 0);
  }
  return actions.take();
}

}  // namespace trainyard
