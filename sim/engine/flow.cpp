// The fluid engine: communications are flows on the folded fabric.
#include "sim/engine/event_run.hpp"
#include "sim/engine/simulate.hpp"

namespace trainyard {

Timeline simulate_flow(const Program& program, const Fabric& fabric, const NetworkCosts& costs, Fold fold) {
  const Quotient quotient = fold_program(program, fabric, costs, fold);
  return run_events(program, fabric, quotient);
}

}  // namespace trainyard
