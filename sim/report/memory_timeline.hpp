#pragma once
// Memory over the step of every simulated rank: its operations say when the passes ran.
#include <cstddef>
#include <vector>

#include "sim/engine/timeline.hpp"
#include "sim/memory/memory_estimate.hpp"
#include "sim/memory/memory_over_time.hpp"
#include "sim/program/program.hpp"

namespace trainyard {

struct RankMemory {
  RankId rank;
  std::size_t stage = 0;
  std::vector<MemorySample> samples;  // in order of time; the first at zero
  StageMemory peak;
};

// Of every simulated rank, in the order of the timeline. A pass takes its memory when its first kernel starts and gives
// it back when the last kernel of its backward ends.
std::vector<RankMemory> memory_timelines(const Scenario& scenario, const Layout& layout, const Program& program,
                                         const Timeline& timeline);

// The fullest moment of every stage.
MemoryEstimate memory_of(const Scenario& scenario, const Layout& layout, const Program& program,
                         const Timeline& timeline);

}  // namespace trainyard
