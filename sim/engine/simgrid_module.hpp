#pragma once
// What the engines ask of SimGrid: a whole step. SimGrid comes with thirty libraries, which take longer to load than
// most answers to compute; so the code that speaks to it is a module of its own (sim/engine/simgrid), loaded when a
// simulation asks for it.
#include <cstdint>
#include <functional>
#include <vector>

#include "sim/engine/deadlock.hpp"
#include "sim/engine/quotient.hpp"
#include "sim/engine/timeline.hpp"

namespace trainyard {

struct SimgridStep {
  const Program& program;
  const Quotient& quotient;
  std::vector<double> bandwidth;  // of every link class, in bytes per second
  // How many times as long as planned an operation's kernels take on a rank, and the n-th call of a group.
  std::function<double(const RankClass&, std::uint32_t operation)> kernel_slowness;
  std::function<double(const GroupClass&, std::int64_t call)> call_slowness;
};

struct SimgridOutcome {
  std::vector<RankTimeline> ranks;        // of the rank classes
  std::vector<std::int64_t> calls;        // of the group classes
  std::vector<BlockedOperation> blocked;  // what could not go on
  std::int64_t events = 0;                // operations and flows that were executed
};

// Loads the module when it is first called. SimGrid keeps its clock: one call per process, a second one is a
// logic_error.
SimgridOutcome run_in_simgrid(const SimgridStep& step);

}  // namespace trainyard
