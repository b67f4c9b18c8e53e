#pragma once
// V-shaped schedules that repeat a building block.
#include <array>
#include <vector>

#include "sim/schedules/schedule.hpp"

namespace trainyard {

// When a stage runs the passes of micro-batch 0, in passes of unit length: forward of chunk 0 and 1, then the input
// gradients of chunk 1 and 0. Micro-batch i follows 6 i later: a stage has six passes per micro-batch.
using VBlock = std::array<std::int32_t, 4>;

// The order of the repeated blocks, with weight gradients where a stage would idle or hold more than `most_held`
// passes' activations.
std::vector<PassOrder> repeat_blocks(const std::vector<VBlock>& blocks, const ScheduleShape& shape,
                                     std::int32_t most_held);

}  // namespace trainyard
