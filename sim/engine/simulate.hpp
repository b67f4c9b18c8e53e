#pragma once
// The three engines: Program -> Timeline. Each throws UserError with exit code 4 when the program deadlocks.
#include "sim/collectives/network_costs.hpp"
#include "sim/engine/timeline.hpp"
#include "sim/program/program.hpp"
#include "sim/scenario/scenario.hpp"
#include "topologies/fabric/fabric.hpp"

namespace trainyard {

// Fluid simulation: concurrent communications share links max-min fairly.
Timeline simulate_flow(const Program& program, const Fabric& fabric, const NetworkCosts& costs, Fold fold);

// The reference for it: hosts, streams and groups are SimGrid's actors, flows its communications. SimGrid keeps its
// clock, so one such call per process.
Timeline simulate_simgrid(const Program& program, const Fabric& fabric, const NetworkCosts& costs, Fold fold);

// Longest path: every operation at its uncontended cost, one rank of every class of ranks whose groups cost the same.
Timeline simulate_analytic(const Program& program, const Fabric& fabric, const NetworkCosts& costs);

}  // namespace trainyard
