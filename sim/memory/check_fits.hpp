#pragma once
// Whether a job fits, and what may help where it does not.
#include "sim/memory/memory_estimate.hpp"

namespace trainyard {

// Throws UserError (exit code 3) when the estimate does not fit.
void check_fits(const MemoryEstimate& memory, const Scenario& scenario);

}  // namespace trainyard
