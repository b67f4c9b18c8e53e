#include "sim/program/assembly/build_program.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sim/base/error.hpp"
#include "sim/layout/stage_schedule.hpp"
#include "sim/program/assembly/stage_program.hpp"
#include "sim/program/program_effort.hpp"

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

// What tells the programs of ranks apart.
struct ProgramKind {
  std::size_t stage = 0;
  std::size_t variant = 0;  // expert-parallel coordinate where loads differ
  std::size_t gpu = 0;
  auto operator<=>(const ProgramKind&) const = default;
};

std::vector<ProgramKind> kinds_of_ranks(const Scenario& scenario, const Layout& layout) {
  std::vector<char> varies;
  for (const Stage& stage : layout.stages) {
    varies.push_back(!layout.expert_shards.empty() && has_experts(scenario, stage) ? 1 : 0);
  }
  std::vector<ProgramKind> kinds;
  kinds.reserve(layout.grid.ranks());
  for (std::size_t rank = 0; rank < layout.grid.ranks(); ++rank) {
    const std::size_t stage = coordinate(layout.grid, rank, Dimension::kPipeline);
    kinds.push_back({.stage = stage,
                     .variant = varies[stage] != 0 ? coordinate(layout.expert_grid, rank, Dimension::kExpert) : 0,
                     .gpu = scenario.gpu_kind(rank)});
  }
  return kinds;
}

// One for each expert-parallel coordinate where loads differ.
std::vector<PricedModel> price_variants(const Scenario& scenario, const Layout& layout, const KernelCosts& costs) {
  std::vector<PricedModel> models;
  for (const ShardShape& shard : layout.expert_shards) {
    models.push_back(price_model(scenario, shard, costs));
  }
  if (models.empty()) {
    models.push_back(price_model(scenario, layout.shard, costs));
  }
  return models;
}

void check_effort(const Scenario& scenario, const Layout& layout, const std::vector<std::vector<PricedModel>>& models,
                  const std::vector<ProgramKind>& of_rank) {
  std::map<ProgramKind, std::size_t> ranks;
  for (const ProgramKind& kind : of_rank) {
    ++ranks[kind];
  }
  std::vector<RanksOfKind> kinds;
  for (const auto& [kind, count] : ranks) {
    kinds.push_back({.model = &models[kind.gpu][kind.variant], .stage = kind.stage, .ranks = count});
  }
  require_program_effort(scenario, layout, kinds);
}

std::string name_of(const ProgramKind& kind, const Scenario& scenario, bool has_variants) {
  std::string name =
      has_variants ? fmt::format("stage {} experts {}", kind.stage, kind.variant) : fmt::format("stage {}", kind.stage);
  return scenario.gpu_kinds.empty() ? name : name + " " + scenario.gpu_kinds[kind.gpu].name;
}

}  // namespace

Program build_program(const Scenario& scenario, const Layout& layout, std::span<const KernelCosts* const> costs) {
  const std::span<const GpuSpec> gpus = scenario.different_gpus();
  TY_ASSERT(costs.size() == gpus.size());
  std::vector<std::vector<PricedModel>> models;  // by kind of GPU and expert-parallel coordinate
  for (const KernelCosts* one : costs) {
    models.push_back(price_variants(scenario, layout, *one));
  }
  const std::vector<ProgramKind> of_rank = kinds_of_ranks(scenario, layout);
  check_effort(scenario, layout, models, of_rank);
  Communicators communicators(scenario, layout);
  NameIndex names;
  Program program;
  const std::vector<StageActionList> actions = schedule_actions(scenario);
  std::map<ProgramKind, ClassId> classes;
  for (const ProgramKind& kind : of_rank) {
    classes.try_emplace(kind);
  }
  for (auto& [kind, id] : classes) {
    id = ClassId::from(program.classes.size());
    const std::vector<PricedModel>& variants = models[kind.gpu];
    program.classes.push_back(build_stage_program(scenario, layout, variants[kind.variant], *costs[kind.gpu],
                                                  static_cast<std::int32_t>(kind.stage), actions[kind.stage],
                                                  communicators, names));
    program.classes.back().gpu = {.multiprocessors = gpus[kind.gpu].multiprocessors,
                                  .memory_bandwidth = gpus[kind.gpu].memory_bandwidth};
    program.classes.back().gpu_kind = static_cast<std::int32_t>(kind.gpu);
    program.class_names.push_back(
        name_of(kind, scenario, variants.size() > 1 && has_experts(scenario, layout.stages[kind.stage])));
  }
  program.names = names.take();
  program.communications = communicators.take();
  program.variation = variation_of(scenario);
  program.class_of.reserve(of_rank.size());
  for (const ProgramKind& kind : of_rank) {
    program.class_of.push_back(classes.at(kind));
  }
  return program;
}

Program build_program(const Scenario& scenario, const Layout& layout, const KernelCosts& costs) {
  const KernelCosts* const all = &costs;
  return build_program(scenario, layout, {&all, 1});
}

}  // namespace trainyard
