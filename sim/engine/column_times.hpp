#pragma once
// What follows from the columns of a timeline. Times are in seconds, indexed by operation.
#include <vector>

#include "sim/engine/timeline.hpp"
#include "sim/program/program.hpp"

namespace trainyard {

// When the rank's host had issued it: a host waits at host waits only, so its clock is a sum.
std::vector<double> issue_times(const RankProgram& program, const RankTimeline& rank);

// Of a communication: when the last member had reached it; of all others: when it started.
std::vector<double> moving_times(const RankProgram& program, const RankTimeline& rank);

// Of all simulated ranks together.
double operations_in(const Timeline& timeline);

}  // namespace trainyard
