#pragma once
// Who does what: ranks, process groups, stages, and the memory of every stage.
#include <cstdint>
#include <string>
#include <vector>

#include "models/operators.hpp"
#include "sim/layout/rank_grid.hpp"
#include "sim/layout/stages.hpp"
#include "sim/scenario/scenario.hpp"

namespace trainyard {

enum class UnitKind { kEmbedding, kLayer, kHead };

// A part of a stage whose parameters are used together: what data-parallel strategies gather, reduce and free.
struct ParameterUnit {
  std::int32_t chunk = 0;
  UnitKind kind = UnitKind::kLayer;
  ParameterShare share;  // of one rank, after tensor- and expert-parallel sharding
  // Of the share, tensors that ZeRO stage 3 keeps whole because they are small; all of them shared ones.
  std::int64_t persistent = 0;
};

struct Layout {
  RankGrid grid;         // of everything but the experts
  RankGrid expert_grid;  // of the experts
  std::vector<Stage> stages;
  ShardShape shard;  // one rank's share of a layer
  // The same by expert-parallel coordinate, where the ranks' experts get different numbers of tokens; empty where all
  // are alike.
  std::vector<ShardShape> expert_shards;
  std::vector<std::vector<ParameterUnit>> units;  // of each stage
  std::vector<std::int64_t> stage_parameters;     // of one rank of each stage, after sharding
  std::vector<ParameterShare> stage_shares;       // the same, apart by who reduces them and whether they train
  // Of each stage, where the optimizer does more than element by element with them: matrices of one shape together.
  std::vector<std::vector<WeightMatrix>> matrices;

  // Elements of those matrices, of one rank: what is not experts', and what is.
  double matrix_elements(std::size_t stage, Presence of_experts) const;
};

// Ranks 0, 1, ... are devices 0, 1, ... of the fabric.
Layout make_layout(const Scenario& scenario);

// The parts of a stage chunk by chunk, in the order of the forward pass. Tp-sharded matrices and replicated norms are
// counted as they are stored. A tied output matrix counts on the last stage too when that is not the first.
std::vector<ParameterUnit> parameter_units(const Scenario& scenario, const Stage& stage, const ShardShape& shard);

// Elements that cross from one stage to the next in one micro-batch, where `next` is the chunk behind the boundary:
// hidden states, or what the last unit of a network before it wrote.
std::int64_t boundary_elements(const ModelSpec& model, const ShardShape& shard, const Chunk& next);

// Parameters that stage 0 and the last stage hold twice because input and output embedding are tied: one rank's share.
std::int64_t tied_embedding_parameters(const Scenario& scenario);

}  // namespace trainyard
