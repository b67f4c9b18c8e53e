#include "sim/memory/offload.hpp"

#include <algorithm>
#include <cmath>

#include "sim/memory/recompute.hpp"

namespace trainyard {

std::vector<Bytes> offloaded_activations(const Scenario& scenario, const ShardShape& shard, const Chunk& chunk) {
  const double share = scenario.training.offload.activations;
  if (share <= 0.0) {
    return {};
  }
  std::vector<Bytes> layers = chunk_activations(scenario, shard, chunk).kept_by_layer;
  layers.resize(static_cast<std::size_t>(std::lround(share * static_cast<double>(chunk.layers))));
  return layers;
}

Bytes copy_buffers(const std::vector<Bytes>& layers) {
  Bytes largest{};
  for (const Bytes layer : layers) {
    largest = max(largest, layer);
  }
  return largest * (2.0 * static_cast<double>(std::min(kCopyBuffers, layers.size())));
}

}  // namespace trainyard
