#pragma once
// Repetition folding. Between its warm-up and its flush a pipeline does the same for every micro-batch, so a step of
// many micro-batches is a step of few plus a whole number of equal periods. Two short steps are simulated that differ
// by one period, it is checked that the longer one is the shorter one with a period inserted, and what the report says
// is extended from them: times, counts and bytes grow by the same amount with every further period.
//
// Why the check is enough: when every operation before the insertion keeps its times, the inserted ones repeat the
// period before them, and every operation after it is later by the same time, all streams and the network stand after
// the inserted period as they stood before it, and will do so again after the next one. Only a host that runs ahead of
// its device does not return to the same state; its lead must not shrink.
#include <cstdint>
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

// The report of `scenario` from those of its two short steps.
Report extend_report(const Scenario& scenario, const Layout& layout, const Report& shorter, const Report& longer,
                     std::int64_t times);

}  // namespace trainyard
