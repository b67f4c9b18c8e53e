#pragma once
// Repetition folding. Between its warm-up and its flush a pipeline does the same for every micro-batch, so a step of
// many micro-batches is a step of few plus a whole number of equal periods. Two short steps are simulated that differ
// by one period, it is checked that the longer one is the shorter one with that period inserted, and what the report
// says is extended from them: times, counts and bytes grow by the same amount with every further period. GPipe does
// first one kind of pass and then the other, so its period comes in two parts with an insertion each.
//
// Why the check is enough: for every insertion there is one moment, the same on all ranks, at which all that runs has
// in the longer step the times of the shorter one, and again later by the period. So all streams and the network stand
// after the inserted period as they stood before it, and will do so again after the next one. Only a host that runs
// ahead of its device does not return to the same state; its lead must not shrink.
//
// What this leaves out shows in the check, and the step is simulated whole. Stages that are faster than the slowest
// one run ahead until what they wait for stops them; with the many passes in flight of ZB-H2 that takes hundreds of
// micro-batches, and before it no moment is like one a period earlier.
#include <cstdint>
#include <optional>
#include <vector>

#include "sim/report/report.hpp"

namespace trainyard {

// How many micro-batches the two short steps have.
struct ShortSteps {
  std::int64_t shorter = 0;
  std::int64_t longer = 0;
  std::int64_t times = 0;  // (micro-batches of the scenario - longer) / (longer - shorter), a whole number
};

// What to try, cheapest first: the steady state may take some micro-batches to settle. Nothing when the step is short
// itself, or when it is not folded.
std::vector<ShortSteps> short_steps(const Scenario& scenario);
// The same step with another number of micro-batches.
Scenario with_micro_batches(const Scenario& scenario, std::int64_t micro_batches);

// Whether the longer step is the shorter one with one period inserted on every rank.
bool repeats(const Program& shorter_program, const Timeline& shorter, const Program& longer_program,
             const Timeline& longer);

struct ShortReports {
  Report shorter;
  Report longer;
};
// The report of `scenario` from those of its two short steps; nothing where what its memory holds does not follow from
// them. `times` as in ShortSteps.
std::optional<Report> extend_report(const ShortReports& reports, const Scenario& scenario, const Layout& layout,
                                    std::int64_t times);

}  // namespace trainyard
