#include "sim/memory/recompute.hpp"

#include <algorithm>
#include <map>

#include "models/activations.hpp"

namespace trainyard {
namespace {

// Bytes of layers of every kind, computed when first asked for.
class LayerBytes {
 public:
  LayerBytes(const Scenario& scenario, const ShardShape& shard, RecomputePlan plan)
      : scenario_(scenario), shard_(shard), plan_(std::move(plan)) {}

  Bytes of(std::int64_t layer) {
    const LayerKind kind = layer_kind(scenario_.model, layer);
    const auto [entry, is_new] = of_kind_.try_emplace(kind);
    if (is_new) {
      entry->second =
          total_bytes(activation_bytes(scenario_.model, kind, shard_, scenario_.framework.operators, plan_));
    }
    return entry->second;
  }

 private:
  const Scenario& scenario_;
  const ShardShape& shard_;
  RecomputePlan plan_;
  std::map<LayerKind, Bytes> of_kind_;
};

}  // namespace

RecomputePlan recompute_plan(const Training& training, std::int64_t index) {
  switch (training.recompute) {
    case Recompute::kNone:
      return Recompute::kNone;
    case Recompute::kSelective:
      return training.recompute_modules.empty() ? RecomputePlan(Recompute::kSelective)
                                                : RecomputePlan(training.recompute_modules);
    case Recompute::kFull:
      break;
  }
  const bool is_covered = training.recompute_method == RecomputeMethod::kUniform || index < training.recompute_layers;
  return is_covered ? Recompute::kFull : Recompute::kNone;
}

ChunkActivations chunk_activations(const Scenario& scenario, const ShardShape& shard, const Chunk& chunk) {
  const Training& training = scenario.training;
  const bool in_groups =
      training.recompute == Recompute::kFull && training.recompute_method == RecomputeMethod::kUniform;
  const std::int64_t group = in_groups ? training.recompute_layers : 1;
  LayerBytes whole(scenario, shard, Recompute::kNone);
  LayerBytes covered(scenario, shard, recompute_plan(training, 0));
  ChunkActivations out;
  Bytes rebuilt{};  // of the group that is being added up
  for (std::int64_t i = 0; i < chunk.layers; ++i) {
    const std::int64_t layer = chunk.first_layer + i;
    const bool is_recomputed = recompute_plan(training, i).granularity != Recompute::kNone;
    const bool opens_group = i % group == 0;
    const Bytes kept = !is_recomputed ? whole.of(layer) : opens_group ? covered.of(layer) : Bytes{};
    out.kept += kept;
    out.kept_by_layer.push_back(kept);
    rebuilt = opens_group ? Bytes{} : rebuilt;
    rebuilt += max(Bytes{}, whole.of(layer) - kept);
    out.rebuilt = max(out.rebuilt, rebuilt);
  }
  return out;
}

}  // namespace trainyard
