#include "sim/layout/stages.hpp"

namespace trainyard {

std::vector<Stage> assign_stages_by_cost(const ModelSpec& model, std::int64_t pp) {
  const double attention = 4.0 * static_cast<double>(model.heads * model.head_dim * model.hidden);
  const double mlp = (model.gated() ? 3.0 : 2.0) * static_cast<double>(model.ffn * model.hidden);
  const double head = model.network ? 0.0 : static_cast<double>(model.vocab * model.hidden);
  const auto cost_of = [&](std::int64_t layer) {
    return model.network ? static_cast<double>(layer_parameters(model, layer_kind(model, layer))) : attention + mlp;
  };
  double layers = model.network ? 0.0 : static_cast<double>(model.layers) * (attention + mlp);
  for (std::int64_t i = 0; model.network && i < model.layers; ++i) {
    layers += cost_of(i);
  }
  const double total = layers + head;

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
  double sum = 0.0;
  for (std::int64_t i = 0; i < model.layers; ++i) {
    sum += cost_of(i);
    Chunk& chunk = chunk_at(model.network ? sum : static_cast<double>(i + 1) * cost_of(i));
    chunk.first_layer = chunk.layers == 0 ? i : chunk.first_layer;
    ++chunk.layers;
  }
  for (std::size_t i = 1; i < stages.size(); ++i) {
    Chunk& chunk = stages[i].chunks.front();
    chunk.first_layer = chunk.layers == 0 ? model.layers : chunk.first_layer;  // layers run out at the end
  }
  stages.back().chunks.front().head = Holds::kYes;
  return stages;
}

}  // namespace trainyard
