#include "sim/predict/repetition.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "sim/base/error.hpp"
#include "sim/memory/memory_estimate.hpp"
#include "sim/predict/inserted_operations.hpp"

namespace trainyard {
namespace {

// Where rounding of times that are sums of up to a million terms ends and a different course of events begins, as a
// share of the step.
constexpr double kRounding = 1e-11;

// Micro-batches after which the order of passes repeats.
std::int64_t period_of(const Scenario& scenario) {
  const std::int64_t group = scenario.training.micro_batch_group;
  return schedule_traits(scenario.training.schedule).grouping == Grouping::kGroups && group > 0 ? group
                                                                                                : scenario.layout.pp;
}

// Where sends pile up no moment is like one a period before, and they hold multiprocessors meanwhile: how many kernels
// run beside them is a whole number of periods only where all stages are equally fast. Of gpt3-175b on 64 GPUs the
// further periods of a step differ by 1e-6 of it.
bool sends_pile_up(ScheduleName schedule) {
  return schedule_traits(schedule).steady == SteadyState::kPilesUp;
}

}  // namespace

std::vector<ShortSteps> short_steps(const Scenario& scenario) {
  // Micro-batches beyond those in flight, for the steady state to settle. Most pipelines settle with the first; where
  // hosts gain on their devices, or stages on a slower one that has yet to hold them up, it takes longer.
  constexpr std::array<std::int64_t, 5> kSteady = {8, 24, 144, 432, 1296};
  const std::int64_t all = scenario.micro_batches();
  std::vector<ShortSteps> out;
  // A user's table says what its own number of micro-batches does.
  // Where kernels or calls draw their times no period is like another.
  if (scenario.fold == Fold::kOff || scenario.training.schedule_table || scenario.variation.jitters() ||
      sends_pile_up(scenario.training.schedule)) {
    return out;
  }
  const std::int64_t period = period_of(scenario);
  for (const std::int64_t steady : kSteady) {
    const std::int64_t least = 2 * scenario.layout.pp + period + steady;
    const std::int64_t shorter = least + (all - least) % period;
    // Where two short steps cost half of the whole or more it is simulated as it is.
    if (all >= 2 * (2 * shorter + period)) {
      out.push_back({.shorter = shorter, .longer = shorter + period, .times = (all - shorter) / period - 1});
    }
  }
  return out;
}

Scenario with_micro_batches(const Scenario& scenario, std::int64_t micro_batches) {
  Scenario changed = scenario;
  changed.training.global_batch = micro_batches * scenario.training.micro_batch * scenario.layout.dp;
  TY_ASSERT(changed.micro_batches() == micro_batches);
  return changed;
}

bool repeats(const Program& shorter_program, const Timeline& shorter, const Program& longer_program,
             const Timeline& longer) {
  if (shorter.ranks.size() != longer.ranks.size() || shorter_program.classes.size() != longer_program.classes.size()) {
    return false;
  }
  const double rounding = longer.step.value * kRounding;
  std::vector<std::vector<Insertion>> of_ranks;
  for (std::size_t r = 0; r < shorter.ranks.size(); ++r) {
    const RankTimeline& a = shorter.ranks[r];
    const RankTimeline& b = longer.ranks[r];
    if (a.rank != b.rank || a.program_class != b.program_class || a.multiplicity != b.multiplicity) {
      return false;
    }
    auto of_rank = insertions(shorter_program.classes[a.program_class.index()], a,
                              longer_program.classes[b.program_class.index()], b, rounding);
    if (!of_rank) {
      return false;
    }
    of_ranks.push_back(std::move(*of_rank));
  }
  return meet(of_ranks, rounding);
}

namespace {

// Of every stage its fullest moment. Where it holds as much in both short steps it does in every other one. Where
// passes in flight become more with every period, the schedule's order of the whole step says how full it gets: not
// always by equal amounts, some buffers have a limit. The moment itself moves like everything else.
std::optional<MemoryEstimate> extend_memory(const ShortReports& reports, const Scenario& scenario, const Layout& layout,
                                            std::int64_t times) {
  const std::vector<StageMemory>& shorter = reports.shorter.memory.stages;
  std::vector<StageMemory> stages = reports.longer.memory.stages;
  std::optional<MemoryEstimate> by_order;
  std::optional<MemoryEstimate> longer_by_order;
  for (std::size_t stage = 0; stage < stages.size(); ++stage) {
    StageMemory& memory = stages[stage];
    std::optional<Seconds> at = memory.at;
    if (at && shorter[stage].at) {
      at = *at + (*at - *shorter[stage].at) * static_cast<double>(times);
    }
    if (memory.total != shorter[stage].total || memory.host.total() != shorter[stage].host.total()) {
      if (!by_order) {
        by_order = estimate_memory(scenario, layout);
        longer_by_order = estimate_memory(with_micro_batches(scenario, reports.longer.micro_batches), layout);
      }
      const StageMemory& known = longer_by_order->stages[stage];
      if (known.total != memory.total || known.host.total() != memory.host.total()) {
        return std::nullopt;
      }
      memory = by_order->stages[stage];
    }
    memory.at = at;
  }
  return make_estimate(std::move(stages), scenario, layout);
}

}  // namespace

std::optional<Report> extend_report(const ShortReports& reports, const Scenario& scenario, const Layout& layout,
                                    std::int64_t times) {
  const Report& shorter = reports.shorter;
  const Report& longer = reports.longer;
  const auto extend = [&](auto a, auto b) { return b + static_cast<decltype(b)>(times) * (b - a); };
  const auto extend_time = [&](Seconds a, Seconds b) { return b + (b - a) * static_cast<double>(times); };
  auto memory = extend_memory(reports, scenario, layout, times);
  if (!memory) {
    return std::nullopt;
  }
  Report out = longer;
  out.memory = std::move(*memory);
  out.step = extend_time(shorter.step, longer.step);
  set_rates(out, scenario, layout);
  for (Seconds Breakdown::*part : kBreakdownParts) {
    out.breakdown.*part = extend_time(shorter.breakdown.*part, longer.breakdown.*part);
  }
  out.input = input_use(scenario, layout, out.step, out.breakdown);
  std::map<std::pair<std::string, std::string>, const CriticalPart*> parts;
  for (const CriticalPart& part : shorter.critical_path) {
    parts[{part.rank_class, part.operation}] = &part;
  }
  for (CriticalPart& part : out.critical_path) {
    const auto found = parts.find({part.rank_class, part.operation});
    const CriticalPart before = found == parts.end() ? CriticalPart{} : *found->second;
    part.time = extend_time(before.time, part.time);
    part.count = extend(before.count, part.count);
  }
  std::stable_sort(out.critical_path.begin(), out.critical_path.end(),
                   [](const CriticalPart& a, const CriticalPart& b) { return a.time > b.time; });
  for (std::size_t l = 0; l < out.links.size(); ++l) {
    out.links[l].bytes.value = extend(shorter.links[l].bytes.value, longer.links[l].bytes.value);
  }
  return out;
}

}  // namespace trainyard
