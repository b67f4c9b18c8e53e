#pragma once
// Activations that wait on the host between a layer's forward and its backward pass.
#include <vector>

#include "sim/layout/stages.hpp"

namespace trainyard {

struct ShardShape;

// What each layer of the chunk's first ones sends to the host; the rest of the layers keep theirs.
std::vector<Bytes> offloaded_activations(const Scenario& scenario, const ShardShape& shard, const Chunk& chunk);

// Layers that are on their way each way at once: one is copied while its neighbour computes. Source: Transformer
// Engine, pytorch/cpu_offload.py, AsyncDoubleBufferGroupOffloadHandler.
inline constexpr std::size_t kCopyBuffers = 2;

// Device memory for the copies under way: double buffers to the host and from it, each of the largest layer.
Bytes copy_buffers(const std::vector<Bytes>& layers);

}  // namespace trainyard
