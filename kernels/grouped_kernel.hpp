#pragma once

namespace trainyard {

// How a library runs the GEMMs of a group: in one kernel that deals out all tiles (CUTLASS, DeepGEMM), or one launch
// each, over a few streams (cuBLAS under Transformer Engine).
enum class GroupedKernel { kOneKernel, kManyStreams };

}  // namespace trainyard
