#pragma once
// The two engines: Program -> Timeline.
#include "sim/collectives/network_costs.hpp"
#include "sim/engine/link_sharing.hpp"
#include "sim/engine/timeline.hpp"
#include "sim/program/program.hpp"
#include "sim/scenario/scenario.hpp"
#include "topologies/fabric.hpp"

namespace trainyard {

// Fluid simulation: concurrent communications share links max-min fairly. Throws UserError with exit code 4 when the
// program deadlocks. LinkSharer::kSimgrid is the reference: SimGrid keeps its clock, so one such call per process.
Timeline simulate_flow(const Program& program, const Fabric& fabric, const NetworkCosts& costs, Fold fold,
                       LinkSharer sharer = LinkSharer::kEngine);

// Longest path: every operation at its uncontended cost, one rank of every class of ranks whose groups cost the same.
// Throws as above.
Timeline simulate_analytic(const Program& program, const Fabric& fabric, const NetworkCosts& costs);

}  // namespace trainyard
