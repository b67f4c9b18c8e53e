// Looped breadth-first search as PyTorch runs it: as breadth-first, but backward passes take the micro-batches of a
// chunk in reverse. Source: torch/distributed/pipelining/schedules.py, ScheduleLoopedBFS.
#include "sim/schedules/schedule.hpp"

namespace trainyard {

std::vector<PassOrder> looped_bfs(const ScheduleShape& shape) {
  PassOrder order;
  for (std::int32_t chunk = 0; chunk < shape.chunks; ++chunk) {
    for (std::int32_t m = 0; m < shape.micro_batches; ++m) {
      order.push_back({PassKind::kForward, m, chunk});
    }
  }
  for (std::int32_t chunk = shape.chunks - 1; chunk >= 0; --chunk) {
    for (std::int32_t m = shape.micro_batches - 1; m >= 0; --m) {
      order.push_back({PassKind::kBackward, m, chunk});
    }
  }
  return {static_cast<std::size_t>(shape.stages), order};
}

}  // namespace trainyard
