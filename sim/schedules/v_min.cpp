// V-Min: the V whose two ends are as close in time as they can be, so that activations live shortest: a third of those
// of 1F1B. Source: arXiv 2405.15362, section 3.2 and figure 3; offsets as in the authors' implementation
// (sail-sg/zero-bubble-pipeline-parallelism, scheduler/zbv_greedy.py). Their reordering of warm-up and flush is not
// repeated; the weight filler does that work.
#include "sim/schedules/v_pattern.hpp"

namespace trainyard {

std::vector<PassOrder> v_min(const ScheduleShape& shape) {
  const std::int32_t p = shape.stages;
  // Keeps blocks of neighbouring micro-batches from meeting.
  const std::int32_t gap = p % 3 == 0 ? 2 : 0;
  std::vector<VBlock> blocks;
  for (std::int32_t s = 0; s < p; ++s) {
    blocks.push_back({s, 2 * p - 1 - s, 2 * p + gap + s, 4 * p + gap - 1 - s});
  }
  // A third of the 2 p chunk passes of 1F1B, rounded up to whole blocks: with less, forward passes would wait.
  const std::int32_t most_held = 2 * ((p + 4) / 3);
  return repeat_blocks(blocks, shape, most_held);
}

}  // namespace trainyard
