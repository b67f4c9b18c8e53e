// V-Half: chunk 0 advances every second pass, chunk 1 every pass: half the activations of 1F1B and half its bubble.
// Source: arXiv 2405.15362, section 3.2 and figure 3; offsets as in the authors' implementation
// (sail-sg/zero-bubble-pipeline-parallelism, scheduler/zbv_greedy.py). Their reordering of warm-up and flush is not
// repeated; the weight filler does that work.
#include "sim/schedules/v_pattern.hpp"

namespace trainyard {

std::vector<PassOrder> v_half(const ScheduleShape& shape) {
  const std::int32_t p = shape.stages;
  // Keeps blocks of neighbouring micro-batches from meeting.
  const std::int32_t gap = p % 2 == 0 ? 3 : 0;
  std::vector<VBlock> blocks;
  for (std::int32_t s = 0; s < p; ++s) {
    blocks.push_back({2 * s, 3 * p - 2 - s, 3 * p + gap - 1 + 2 * s, 6 * p + gap - 2 - s});
  }
  // Half the 2 p chunk passes of 1F1B and the block in hand: with less, forward passes would wait.
  const std::int32_t most_held = p % 2 == 0 ? p + 2 : p + 1;
  return repeat_blocks(blocks, shape, most_held);
}

}  // namespace trainyard
