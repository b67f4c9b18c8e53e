#include "sim/report/program_explanation.hpp"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "sim/layout/stage_schedule.hpp"
#include "sim/schedules/schedule.hpp"

namespace trainyard {
namespace {

std::size_t coordinate(const RankGrid& grid, RankId rank, Dimension dimension) {
  return static_cast<std::size_t>(grid.coordinates(rank)[static_cast<std::size_t>(dimension)]);
}

struct RanksOfClass {
  RankId first;
  std::size_t count = 0;
};

std::vector<RanksOfClass> ranks_of_classes(const Program& program) {
  std::vector<RanksOfClass> out(program.classes.size());
  for (std::size_t rank = 0; rank < program.ranks(); ++rank) {
    RanksOfClass& one = out[program.class_of[rank].index()];
    one.first = one.count == 0 ? RankId::from(rank) : one.first;
    ++one.count;
  }
  return out;
}

}  // namespace

ExplainedProgram explain(const Scenario& scenario, const Layout& layout, const Program& program,
                         std::span<const KernelCosts* const> costs) {
  const std::vector<PassOrder> orders = pass_orders(scenario);
  const std::vector<RanksOfClass> ranks = ranks_of_classes(program);
  ExplainedProgram out;
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> models;  // by kind of GPU and expert coordinate
  for (std::size_t c = 0; c < program.classes.size(); ++c) {
    const auto gpu = static_cast<std::size_t>(program.classes[c].gpu_kind);
    const std::size_t expert =
        layout.expert_shards.empty() ? 0 : coordinate(layout.expert_grid, ranks[c].first, Dimension::kExpert);
    const auto [entry, is_new] = models.try_emplace(std::pair{gpu, expert}, out.models.size());
    if (is_new) {
      const ShardShape& shard = layout.expert_shards.empty() ? layout.shard : layout.expert_shards[expert];
      std::string name = scenario.gpu_kinds.empty() ? "" : " on " + scenario.different_gpus()[gpu].name;
      name += layout.expert_shards.empty() ? "" : fmt::format(" of expert rank {}", expert);
      out.models.push_back({std::move(name), list_parts(scenario, shard, *costs[gpu])});
    }
    const std::size_t stage = coordinate(layout.grid, ranks[c].first, Dimension::kPipeline);
    out.classes.push_back({.name = program.class_names[c],
                           .stage = stage,
                           .ranks = ranks[c].count,
                           .model = entry->second,
                           .operations = list_operations(program.classes[c]),
                           .passes = orders[stage]});
  }
  return out;
}

std::string pass_text(const StagePass& pass) {
  const char letter = pass.kind == PassKind::kForward ? 'F' : pass.kind == PassKind::kWeightGradient ? 'W' : 'B';
  return pass.chunk == 0 ? fmt::format("{}{}", letter, pass.micro_batch)
                         : fmt::format("{}{}.{}", letter, pass.micro_batch, pass.chunk);
}

}  // namespace trainyard
