#pragma once
// Which layers of a stage are recomputed, and what of them. Source: Megatron-LM transformer_block.py,
// _checkpointed_forward, and transformer_config.py (recompute_granularity, recompute_method, recompute_num_layers,
// recompute_modules).
#include <cstdint>
#include <vector>

#include "models/operators.hpp"
#include "sim/layout/stages.hpp"

namespace trainyard {

// Of the chunk's layer `index` (0 for its first). Full recomputation by "block" covers the first recompute_layers of a
// chunk and keeps everything of the rest; "uniform" covers all.
RecomputePlan recompute_plan(const Training& training, std::int64_t index);

// Activations of the layers of one chunk, for one pass.
struct ChunkActivations {
  Bytes kept{};     // from forward to backward
  Bytes rebuilt{};  // at most, beyond what is kept, while its backward runs
  std::vector<Bytes> kept_by_layer;
};
// Uniform recomputation keeps the input of every recompute_layers-th layer and rebuilds that many layers at once.
ChunkActivations chunk_activations(const Scenario& scenario, const ShardShape& shard, const Chunk& chunk);

}  // namespace trainyard
