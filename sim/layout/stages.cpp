#include "sim/layout/stages.hpp"

#include <algorithm>

#include "sim/schedules/placement.hpp"

namespace trainyard {
namespace {

// Layers of every virtual stage along the model.
std::vector<std::int64_t> spread(std::int64_t layers, const Parallelism& layout, std::int64_t virtual_stages) {
  if (!layout.layers_per_stage.empty()) {
    return layout.layers_per_stage;
  }
  std::vector<std::int64_t> counts(static_cast<std::size_t>(virtual_stages), 0);
  const bool first_alone = layout.embedding == EndPlacement::kStandalone;
  const bool last_alone = layout.loss == EndPlacement::kStandalone;
  const std::size_t begin = first_alone ? 1 : 0;
  const std::size_t end = counts.size() - (last_alone ? 1 : 0);
  const std::int64_t as_first = layout.embedding == EndPlacement::kAsLayer ? 1 : 0;
  const std::int64_t as_last = layout.loss == EndPlacement::kAsLayer ? 1 : 0;
  const auto holders = static_cast<std::int64_t>(end - begin);
  const std::int64_t all = layers + as_first + as_last;
  for (std::size_t i = begin; i < end; ++i) {
    // The remainder fills holders 1, 2, ... and reaches the last one only when all but the first take one.
    const auto index = static_cast<std::int64_t>(i - begin);
    counts[i] = all / holders + (index >= 1 && index <= all % holders ? 1 : 0);
  }
  counts[begin] -= as_first;
  counts[end - 1] -= as_last;
  return counts;
}

}  // namespace

std::int64_t Stage::layers() const {
  std::int64_t total = 0;
  for (const Chunk& chunk : chunks) {
    total += chunk.layers;
  }
  return total;
}

bool Stage::reads_samples() const {
  return std::any_of(chunks.begin(), chunks.end(), [](const Chunk& chunk) { return chunk.reads_samples(); });
}

std::vector<Stage> assign_stages(std::int64_t layers, const Parallelism& layout, Placement placement) {
  const bool twice = placement == Placement::kBidirectional;
  const std::int64_t virtual_stages = twice ? layout.pp : layout.pp * layout.vpp;
  std::vector<Chunk> model;
  std::int64_t next_layer = 0;
  for (const std::int64_t count : spread(layers, layout, virtual_stages)) {
    model.push_back({.first_layer = next_layer, .layers = count});
    next_layer += count;
  }
  model.front().embedding = Holds::kYes;
  model.back().head = Holds::kYes;

  const ScheduleShape shape{.stages = static_cast<std::int32_t>(layout.pp),
                            .chunks = static_cast<std::int32_t>(layout.vpp),
                            .placement = placement};
  std::vector<Stage> stages(static_cast<std::size_t>(layout.pp));
  for (std::int32_t stage = 0; stage < shape.stages; ++stage) {
    for (std::int32_t chunk = 0; chunk < shape.chunks; ++chunk) {
      const auto index = static_cast<std::size_t>(model_chunk_of(shape, stage, chunk));
      stages[static_cast<std::size_t>(stage)].chunks.push_back(model[index % model.size()]);
    }
  }
  return stages;
}

}  // namespace trainyard
