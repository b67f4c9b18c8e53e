// The reference: the whole step by SimGrid alone.
#include <utility>

#include "sim/engine/simgrid_module.hpp"
#include "sim/engine/simulate.hpp"
#include "sim/engine/timeline_totals.hpp"

namespace trainyard {

Timeline simulate_simgrid(const Program& program, const Fabric& fabric, const NetworkCosts& costs, Fold fold) {
  // Unfolded it is asked without any thought of ours: every flow on every link, whether that can limit it or not.
  const Quotient quotient = fold_laid_out(
      program, fabric, lay_out(program, fabric, costs, fold == Fold::kOn ? LaidLinks::kThatCanLimit : LaidLinks::kAll),
      fold);
  SimgridStep step{.program = program, .quotient = quotient};
  for (const LinkClass& link : quotient.links) {
    step.bandwidth.push_back(fabric.link(link.representative).bandwidth.value);
  }
  step.kernel_slowness = [&](const RankClass& rank, std::uint32_t operation) {
    return program.slowness(rank.representative, program.classes[rank.program_class.index()], operation);
  };
  step.call_slowness = [&](const GroupClass& group, std::int64_t call) {
    const RankClass& first = quotient.ranks[static_cast<std::size_t>(group.participants.front())];
    return program.variation.any()
               ? call_slowness(program.variation, group.communication.value, first.representative, call)
               : 1.0;
  };
  SimgridOutcome outcome = run_in_simgrid(step);
  if (!outcome.blocked.empty()) {
    throw deadlock(program, outcome.blocked);
  }
  Timeline timeline;
  timeline.ranks = std::move(outcome.ranks);
  timeline.events = outcome.events;
  add_totals(timeline, quotient, fabric, outcome.calls);
  return timeline;
}

}  // namespace trainyard
