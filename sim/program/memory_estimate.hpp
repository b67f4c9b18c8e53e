#pragma once
// The quick answer about memory: no operation is priced and nothing is simulated, only the order of passes counts.
#include <vector>

#include "sim/layout/memory.hpp"
#include "sim/layout/memory_meter.hpp"

namespace trainyard {

// The fullest moment of every stage when its passes run in the schedule's order.
MemoryEstimate estimate_memory(const Scenario& scenario, const Layout& layout);

// The moments of a stage among which its fullest is, whatever its passes hold: at every other moment no more of
// anything is under way than at one of these. Chunks that hold the same may be counted as one: `counted_as` is by
// chunk.
std::vector<PassesUnderWay> fullest_moments(const PassOrder& order, const std::vector<std::size_t>& counted_as);
// Whether at least as much of everything is under way.
bool covers(const PassesUnderWay& more, const PassesUnderWay& less);

}  // namespace trainyard
