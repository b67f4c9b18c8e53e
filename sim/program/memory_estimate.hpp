#pragma once
// The quick answer about memory: no operation is priced and nothing is simulated, only the order of passes counts.
#include "sim/layout/memory.hpp"

namespace trainyard {

// The fullest moment of every stage when its passes run in the schedule's order.
MemoryEstimate estimate_memory(const Scenario& scenario, const Layout& layout);

}  // namespace trainyard
