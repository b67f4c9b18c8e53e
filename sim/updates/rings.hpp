#pragma once
// Workers that all compute, and meet in a ring after every round of steps.
#include <vector>

#include "sim/updates/update_job.hpp"
#include "sim/updates/update_times.hpp"

namespace trainyard {

// `rounds`: how many steps every worker makes in each.
UpdateTimes simulate_rounds(const UpdateJob& job, const std::vector<int>& rounds);

// So many steps in rounds of `each`; the last round may be shorter.
std::vector<int> equal_rounds(int steps, int each);

}  // namespace trainyard
