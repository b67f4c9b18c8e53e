#include "sim/layout/layout.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

namespace trainyard {
namespace {

std::int64_t padded_vocab(const Scenario& scenario) {
  if (scenario.model.vision || scenario.model.network) {
    return scenario.model.vocab;  // classes are not padded
  }
  const std::int64_t multiple = scenario.framework.vocab_multiple * scenario.layout.tp;
  return (scenario.model.vocab + multiple - 1) / multiple * multiple;
}

ParameterShare sum_of(const std::vector<ParameterUnit>& units) {
  ParameterShare total;
  for (const ParameterUnit& unit : units) {
    total += unit.share;
  }
  return total;
}

}  // namespace

std::int64_t tied_embedding_parameters(const Scenario& scenario) {
  return padded_vocab(scenario) / scenario.layout.tp * scenario.model.hidden;
}

std::int64_t boundary_elements(const ModelSpec& model, const ShardShape& shard, const Chunk& next) {
  if (model.network) {
    const std::vector<NetworkUnit>& units = model.network->units;
    const Extent& extent =
        next.first_layer == 0 ? model.network->input : units[static_cast<std::size_t>(next.first_layer - 1)].out();
    return shard.micro_batch * extent.elements();
  }
  return shard.micro_batch * shard.local_seq_len() * model.hidden;
}

std::vector<ParameterUnit> parameter_units(const Scenario& scenario, const Stage& stage, const ShardShape& shard) {
  const ModelSpec& model = scenario.model;
  std::vector<ParameterUnit> units;
  struct OfKind {
    ParameterShare share;
    std::int64_t persistent = 0;
  };
  std::map<LayerKind, OfKind> of_kind;
  const DataParallelOptions& options = scenario.training.data_parallel;
  const bool keeps_small =
      !scenario.training.has_flat_shards() && scenario.training.does(&DataParallelTraits::gathers_for_use);
  const double most = options.param_persistence_threshold;
  // The matrix that both ends share counts once, whichever of them comes first on the stage.
  const bool has_embedding = std::any_of(stage.chunks.begin(), stage.chunks.end(),
                                         [](const Chunk& chunk) { return chunk.embedding == Holds::kYes; });
  for (std::size_t c = 0; c < stage.chunks.size(); ++c) {
    const Chunk& chunk = stage.chunks[c];
    const auto index = static_cast<std::int32_t>(c);
    if (chunk.embedding == Holds::kYes) {
      units.push_back({index, UnitKind::kEmbedding, embedding_share(model, shard)});
    }
    for (std::int64_t layer = 0; layer < chunk.layers; ++layer) {
      const LayerKind kind = layer_kind(model, chunk.first_layer + layer);
      const auto [entry, is_new] = of_kind.try_emplace(kind);
      if (is_new) {
        entry->second = {layer_share(model, kind, shard), keeps_small ? small_parameters(model, kind, shard, most) : 0};
      }
      units.push_back({index, UnitKind::kLayer, entry->second.share, entry->second.persistent});
    }
    if (chunk.head == Holds::kYes) {
      ParameterShare head = head_share(model, shard);
      if (model.tied_embeddings == Presence::kPresent && has_embedding) {
        const std::int64_t matrix = tied_embedding_parameters(scenario);
        head.shared -= matrix;
        head.trainable_shared -= std::min(matrix, head.trainable_shared);
      }
      units.push_back({index, UnitKind::kHead, head});
    }
  }
  return units;
}

namespace {

// Those of a stage, equal ones together.
std::vector<WeightMatrix> stage_matrices(const Scenario& scenario, const Stage& stage, const ShardShape& shard) {
  using Shape = std::tuple<std::int64_t, std::int64_t, Presence>;
  std::map<Shape, std::int64_t> counts;
  const auto add = [&](const std::vector<WeightMatrix>& matrices) {
    for (const WeightMatrix& one : matrices) {
      counts[{one.rows, one.columns, one.of_experts}] += one.count;
    }
  };
  for (const Chunk& chunk : stage.chunks) {
    for (std::int64_t layer = 0; layer < chunk.layers; ++layer) {
      add(layer_matrices(scenario.model, layer_kind(scenario.model, chunk.first_layer + layer), shard));
    }
    if (chunk.head == Holds::kYes) {
      add(head_matrices(scenario.model, shard));
    }
  }
  std::vector<WeightMatrix> matrices;
  for (const auto& [shape, count] : counts) {
    const auto& [rows, columns, of_experts] = shape;
    matrices.push_back({.rows = rows, .columns = columns, .count = count, .of_experts = of_experts});
  }
  return matrices;
}

std::optional<double> padded_capacity(const ExpertRouting& routing) {
  return routing.padding == CapacityPadding::kOn ? routing.capacity_factor : std::nullopt;
}

// What every expert takes of the mean where all are offered the same.
double uniform_load(const ExpertRouting& routing) {
  return std::min(1.0, routing.capacity_factor.value_or(1.0));
}

// The shard of every expert-parallel rank: what its experts get of the routed tokens. None where all are alike.
std::vector<ShardShape> loaded_shards(const Scenario& scenario, const ShardShape& shard) {
  const ExpertRouting& routing = scenario.training.experts;
  if (!scenario.model.experts || routing.kind == RoutingKind::kUniform) {
    return {};
  }
  const std::vector<double> shares = expert_shares(routing, scenario.model.experts->count, scenario.seed);
  const double kept = routing.capacity_factor ? std::accumulate(shares.begin(), shares.end(), 0.0) : 1.0;
  const std::size_t local = shares.size() / static_cast<std::size_t>(shard.ep);
  std::vector<ShardShape> shards;
  for (std::size_t first = 0; first < shares.size(); first += local) {
    ShardShape& one = shards.emplace_back(shard);
    one.kept_share = kept;
    one.expert_shares.assign(shares.begin() + static_cast<std::ptrdiff_t>(first),
                             shares.begin() + static_cast<std::ptrdiff_t>(first + local));
    const double sum = std::accumulate(one.expert_shares.begin(), one.expert_shares.end(), 0.0);
    one.routed_load = sum * static_cast<double>(shard.ep);
    for (double& share : one.expert_shares) {
      share = sum > 0.0 ? share / sum : 1.0 / static_cast<double>(local);
    }
  }
  double heaviest = 0.0;
  for (const ShardShape& one : shards) {
    heaviest = std::max(heaviest, one.routed_load);
  }
  for (ShardShape& one : shards) {
    one.heaviest_load = heaviest;
  }
  return shards;
}

}  // namespace

Layout make_layout(const Scenario& scenario) {
  const Training& training = scenario.training;
  Layout layout{.grid = RankGrid::dense(scenario.layout),
                .expert_grid = RankGrid::experts(scenario.layout),
                .stages = scenario.framework.stage_split == StageSplit::kByCost
                              ? assign_stages_by_cost(scenario.model, scenario.layout.pp)
                              : assign_stages(scenario.model.layers, scenario.layout, scenario.placement()),
                .shard = {.micro_batch = training.micro_batch,
                          .seq_len = training.seq_len,
                          .document_len = training.document_len,
                          .tp = scenario.layout.tp,
                          .sequence_parallel = scenario.layout.sequence_parallel,
                          .precision = training.precision,
                          .activation_element = storage_bytes_per_element(training.precision),
                          .parameter_element = bytes_per_element(training.param_dtype),
                          .gradient_element = bytes_per_element(training.grad_dtype),
                          .padded_vocab = padded_vocab(scenario),
                          .cp = scenario.layout.cp,
                          .context_parallel = scenario.layout.context_parallel,
                          .context_inner = scenario.layout.context_inner,
                          .ep = scenario.layout.ep,
                          .expert_tp = scenario.layout.etp,
                          .dispatcher = training.experts.dispatcher,
                          .deep_ep_ranks_per_node = scenario.cluster.gpus_per_node,
                          .routed_load = uniform_load(training.experts),
                          .heaviest_load = uniform_load(training.experts),
                          .kept_share = uniform_load(training.experts),
                          .padded_capacity = padded_capacity(training.experts)},
                .expert_shards = {},
                .units = {},
                .stage_parameters = {},
                .stage_shares = {},
                .matrices = {}};
  layout.expert_shards = loaded_shards(scenario, layout.shard);
  for (const Stage& stage : layout.stages) {
    layout.units.push_back(parameter_units(scenario, stage, layout.shard));
    layout.stage_shares.push_back(sum_of(layout.units.back()));
    layout.stage_parameters.push_back(layout.stage_shares.back().total());
    if (optimizer_traits(training.optimizer).matrices != MatrixUpdate::kNone) {
      layout.matrices.push_back(stage_matrices(scenario, stage, layout.shard));
    }
  }
  return layout;
}

double Layout::matrix_elements(std::size_t stage, Presence of_experts) const {
  double total = 0.0;
  if (stage < matrices.size()) {
    for (const WeightMatrix& one : matrices[stage]) {
      total += one.of_experts == of_experts ? one.elements() : 0.0;
    }
  }
  return total;
}

}  // namespace trainyard
