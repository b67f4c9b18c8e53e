#include "sim/program/build_program.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/program/stage_program.hpp"

namespace trainyard {
namespace {

bool has_experts(const Scenario& scenario, const Stage& stage) {
  return std::any_of(stage.chunks.begin(), stage.chunks.end(), [&](const Chunk& chunk) {
    for (std::int64_t layer = 0; layer < chunk.layers; ++layer) {
      if (layer_kind(scenario.model, chunk.first_layer + layer).feed_forward == FeedForward::kExperts) {
        return true;
      }
    }
    return false;
  });
}

std::size_t coordinate(const RankGrid& grid, std::size_t rank, Dimension dimension) {
  return static_cast<std::size_t>(grid.coordinates(RankId::from(rank))[static_cast<std::size_t>(dimension)]);
}

}  // namespace

Program build_program(const Scenario& scenario, const Layout& layout, const KernelCosts& costs) {
  std::vector<PricedModel> models;  // by expert-parallel coordinate where loads differ
  for (const ShardShape& shard : layout.expert_shards) {
    models.push_back(price_model(scenario, shard, costs));
  }
  if (models.empty()) {
    models.push_back(price_model(scenario, layout.shard, costs));
  }
  Communicators communicators(scenario, layout);
  NameIndex names;
  Program program;
  std::vector<std::size_t> first_class;  // of each stage
  std::vector<std::size_t> variants;     // classes of each stage
  const auto stages = static_cast<std::int32_t>(scenario.layout.pp);
  const std::vector<StageActionList> actions = schedule_actions(scenario);
  for (std::int32_t stage = 0; stage < stages; ++stage) {
    first_class.push_back(program.classes.size());
    variants.push_back(has_experts(scenario, layout.stages[static_cast<std::size_t>(stage)]) ? models.size() : 1);
    for (std::size_t variant = 0; variant < variants.back(); ++variant) {
      program.classes.push_back(build_stage_program(scenario, layout, models[variant], costs, stage,
                                                    actions[static_cast<std::size_t>(stage)], communicators, names));
      program.class_names.push_back(variants.back() == 1 ? fmt::format("stage {}", stage)
                                                         : fmt::format("stage {} experts {}", stage, variant));
    }
  }
  program.names = names.take();
  program.communications = communicators.take();
  program.gpu = {.multiprocessors = scenario.gpu.multiprocessors, .memory_bandwidth = scenario.gpu.memory_bandwidth};
  program.variation = variation_of(scenario);
  program.class_of.reserve(layout.grid.ranks());
  for (std::size_t rank = 0; rank < layout.grid.ranks(); ++rank) {
    const std::size_t stage = coordinate(layout.grid, rank, Dimension::kPipeline);
    const std::size_t variant =
        variants[stage] > 1 ? coordinate(layout.expert_grid, rank, Dimension::kExpert) : std::size_t{0};
    program.class_of.push_back(ClassId::from(first_class[stage] + variant));
  }
  return program;
}

}  // namespace trainyard
