// Breadth-first: every micro-batch passes a chunk before the first one passes the next; all forward passes come before
// all backward passes. With data parallelism each chunk's weights are gathered and its gradients reduced once per step.
// Source: arXiv 2211.05953, section 4.
#include "sim/schedules/schedule.hpp"

namespace trainyard {

std::vector<PassOrder> breadth_first(const ScheduleShape& shape) {
  PassOrder order;
  for (std::int32_t chunk = 0; chunk < shape.chunks; ++chunk) {
    for (std::int32_t m = 0; m < shape.micro_batches; ++m) {
      order.push_back({PassKind::kForward, m, chunk});
    }
  }
  for (std::int32_t chunk = shape.chunks - 1; chunk >= 0; --chunk) {
    for (std::int32_t m = 0; m < shape.micro_batches; ++m) {
      order.push_back({PassKind::kBackward, m, chunk});
    }
  }
  return {static_cast<std::size_t>(shape.stages), order};
}

}  // namespace trainyard
