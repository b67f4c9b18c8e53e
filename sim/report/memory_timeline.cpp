#include "sim/report/memory_timeline.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "sim/base/parallel.hpp"
#include "sim/engine/column_times.hpp"
#include "sim/layout/stage_schedule.hpp"
#include "sim/program/assembly/stage_program.hpp"
#include "sim/schedules/schedule.hpp"

namespace trainyard {
namespace {

using PassKey = std::tuple<PassKind, std::int32_t, std::int32_t>;  // and micro-batch and chunk

// Of the passes that have kernels.
std::map<PassKey, Span> spans_of(const RankProgram& program, const RankTimeline& rank,
                                 const std::vector<double>& start) {
  std::map<PassKey, Span> spans;
  auto latest = spans.end();
  for (std::size_t i = 0; i < program.operations.size(); ++i) {
    const Operation& operation = program.operations[i];
    if (!operation.pass || operation.kind != OperationKind::kKernels || operation.stream != StreamName::kCompute) {
      continue;
    }
    const PassKey key{*operation.pass, operation.micro_batch, operation.chunk};
    if (latest == spans.end() || latest->first != key) {
      latest = spans.try_emplace(key, Span{.start = {start[i]}}).first;
    }
    latest->second.end = {rank.end[i]};
  }
  return spans;
}

// As the passes stand in the order.
std::vector<std::optional<Span>> in_order(const std::map<PassKey, Span>& spans, const PassOrder& order) {
  std::vector<std::optional<Span>> out;
  for (const StagePass& pass : order) {
    const auto span = spans.find({pass.kind, pass.micro_batch, pass.chunk});
    out.push_back(span != spans.end() ? std::optional(span->second) : std::nullopt);
  }
  return out;
}

// When the kernels of the optimizer run that come after all passes.
std::optional<Span> update_time(const RankProgram& program, const RankTimeline& rank,
                                const std::vector<double>& start) {
  std::optional<Span> out;
  for (std::size_t i = program.operations.size(); i-- > 0;) {
    const Operation& operation = program.operations[i];
    if (operation.pass && operation.kind == OperationKind::kKernels) {
      break;
    }
    if (operation.category == Category::kOptimizer && operation.kind == OperationKind::kKernels) {
      const Seconds end{rank.end[i]};
      out = Span{.start = {start[i]}, .end = out ? max(out->end, end) : end};
    }
  }
  return out;
}

// Of one rank after the other.
class Replay {
 public:
  Replay(const Scenario& scenario, const Layout& layout, const Program& program)
      : layout_(layout), program_(program), orders_(pass_orders(scenario)) {
    for (std::size_t stage = 0; stage < layout.stages.size(); ++stage) {
      holdings_.push_back(stage_holdings(scenario, layout, stage));
    }
  }

  RankMemory of(const RankTimeline& rank) const {
    const auto stage = static_cast<std::size_t>(layout_.grid.coordinate(rank.rank, Dimension::kPipeline));
    const RankProgram& ran = program_.classes[rank.program_class.index()];
    const std::vector<double> start = start_times(ran, rank);
    auto [samples, peak] =
        memory_over_time(holdings_[stage], orders_[stage], in_order(spans_of(ran, rank, start), orders_[stage]),
                         update_time(ran, rank, start));
    return {.rank = rank.rank, .stage = stage, .samples = std::move(samples), .peak = peak};
  }

 private:
  const Layout& layout_;
  const Program& program_;
  std::vector<StageHoldings> holdings_;
  std::vector<PassOrder> orders_;
};

}  // namespace

std::vector<RankMemory> memory_timelines(const Scenario& scenario, const Layout& layout, const Program& program,
                                         const Timeline& timeline) {
  const Replay replay(scenario, layout, program);
  std::vector<RankMemory> out;
  for (const RankTimeline& rank : timeline.ranks) {
    out.push_back(replay.of(rank));
  }
  return out;
}

MemoryEstimate memory_of(const Scenario& scenario, const Layout& layout, const Program& program,
                         const Timeline& timeline) {
  const Replay replay(scenario, layout, program);
  std::vector<RankMemory> ranks(timeline.ranks.size());
  in_parallel(ranks.size(), workers_for(operations_in(timeline)), [&](std::size_t r) {
    ranks[r] = replay.of(timeline.ranks[r]);
    ranks[r].samples = {};
  });
  std::vector<StageMemory> stages(layout.stages.size());
  for (const RankMemory& rank : ranks) {
    if (rank.peak.total > stages[rank.stage].total) {
      stages[rank.stage] = rank.peak;
    }
  }
  return make_estimate(std::move(stages), scenario, layout);
}

}  // namespace trainyard
