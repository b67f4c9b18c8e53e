#pragma once
// The fullest moment of every stage of a job.
#include <vector>

#include "sim/memory/memory_meter.hpp"

namespace trainyard {

struct MemoryEstimate {
  std::vector<StageMemory> stages;
  Bytes peak{};           // of the fullest stage
  Bytes capacity{};       // of one of its devices
  Bytes host_peak{};      // of all ranks of the fullest node in its host's memory
  Bytes host_capacity{};  // of one node; zero: not known
  bool fits() const { return peak <= capacity && fits_host(); }
  bool fits_host() const { return host_capacity.value <= 0.0 || host_peak <= host_capacity; }
  std::size_t fullest() const;  // the first of those with the least to spare
};

MemoryEstimate make_estimate(std::vector<StageMemory> stages, Bytes capacity);
// With what the hosts hold of the scenario's nodes.
MemoryEstimate make_estimate(std::vector<StageMemory> stages, const Scenario& scenario, const Layout& layout);

// Of one worker of a job that has a strategy. The quick answer: the passes of every stage run in the schedule's order,
// no operation is priced and nothing is simulated.
MemoryEstimate estimate_memory(const Scenario& scenario, const Layout& layout);

}  // namespace trainyard
