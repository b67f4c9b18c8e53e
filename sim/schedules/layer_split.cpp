// Layers on several devices without micro-batches in flight: each runs forward through all stages and then backward
// before the next one begins, so that one stage works at a time. As a module whose parts lie on several devices runs
// (PyTorch's tutorial "Single-Machine Model Parallel Best Practices"; Hugging Face's device_map).
#include "sim/schedules/schedule.hpp"
#include "sim/schedules/stage_actions.hpp"

namespace trainyard {

std::vector<PassOrder> layer_split(const ScheduleShape& shape) {
  PassOrder order;
  for (std::int32_t m = 0; m < shape.micro_batches; ++m) {
    order.push_back({PassKind::kForward, m, 0});
    order.push_back({PassKind::kBackward, m, 0});
  }
  return {static_cast<std::size_t>(shape.stages), order};
}

StageActionList layer_split_exchanges(const ScheduleShape& shape, std::int32_t stage) {
  StageActions actions(shape, stage);
  for (std::int32_t m = 0; m < shape.micro_batches; ++m) {
    actions.forward_alone(m, 0);
    actions.backward_alone(m, 0);
  }
  return actions.take();
}

}  // namespace trainyard
