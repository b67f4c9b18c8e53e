#include "sim/layout/stages.hpp"

namespace trainyard {

std::vector<Stage> assign_stages_by_cost(const ModelSpec& model, std::int64_t pp) {
  const double attention = 4.0 * static_cast<double>(model.heads * model.head_dim * model.hidden);
  const double mlp = (model.gated() ? 3.0 : 2.0) * static_cast<double>(model.ffn * model.hidden);
  const double layer = attention + mlp;
  const double head = static_cast<double>(model.vocab * model.hidden);
  const double total = static_cast<double>(model.layers) * layer + head;

  std::vector<Stage> stages(static_cast<std::size_t>(pp), Stage{.chunks = {Chunk{}}});
  std::int64_t stage = 0;
  // The chunk of the module that brings the running sum to `cost`: the module that reaches a stage's share is its last.
  const auto chunk_at = [&](double cost) -> Chunk& {
    Chunk& chunk = stages[static_cast<std::size_t>(stage)].chunks.front();
    const double share = total * (static_cast<double>(stage + 1) / static_cast<double>(pp));
    stage += cost >= share && stage + 1 < pp ? 1 : 0;
    return chunk;
  };
  chunk_at(0.0).embedding = Holds::kYes;
  for (std::int64_t i = 0; i < model.layers; ++i) {
    Chunk& chunk = chunk_at(static_cast<double>(i + 1) * layer);
    chunk.first_layer = chunk.layers == 0 ? i : chunk.first_layer;
    ++chunk.layers;
  }
  stages.back().chunks.front().head = Holds::kYes;
  return stages;
}

}  // namespace trainyard
