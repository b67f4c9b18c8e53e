#pragma once
// When a stage can be the fullest, whatever its passes hold: for whoever asks about many layouts of one schedule.
#include <vector>

#include "sim/memory/memory_meter.hpp"
#include "sim/schedules/schedule.hpp"

namespace trainyard {

// The moments of a stage among which its fullest is, whatever its passes hold: at every other moment no more of
// anything is under way than at one of these. Chunks that hold the same may be counted as one: `counted_as` is by
// chunk.
std::vector<PassesUnderWay> fullest_moments(const PassOrder& order, const std::vector<std::size_t>& counted_as);
// Whether at least as much of everything is under way.
bool covers(const PassesUnderWay& more, const PassesUnderWay& less);

}  // namespace trainyard
