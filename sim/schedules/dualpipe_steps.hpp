#pragma once
// The eight steps that DualPipe and DualPipeV share.
#include <cstdint>

#include "sim/schedules/stage_order.hpp"

namespace trainyard {

// One stage at distance `place` from the outer end of a line of `half` stages, whose inner end turns round (DualPipeV)
// or meets its mirror (DualPipe). Phase 0 goes inwards, phase 1 outwards; `phase_0` is the chunk that phase 0 runs.
// `micro_batches` of each phase, at least 2 * half.
// Source: deepseek-ai/DualPipe, dualpipe/dualpipe.py and dualpipev.py, step().
PassOrder dualpipe_order(std::int32_t half, std::int32_t place, std::int32_t micro_batches, std::int32_t phase_0,
                         StageOrder order);

}  // namespace trainyard
