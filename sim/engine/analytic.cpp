// Longest path over the same Program: every communication at the time it takes alone.
#include "sim/engine/event_run.hpp"
#include "sim/engine/simulate.hpp"
#include "sim/engine/whole.hpp"

namespace trainyard {

Timeline simulate_analytic(const Program& program, const Fabric& fabric, const NetworkCosts& costs) {
  const Whole whole = lay_out_alone(program, fabric, costs);
  const Quotient quotient = fold_whole(program, fabric, whole, Fold::kOn);
  return run_events(program, fabric, quotient);
}

}  // namespace trainyard
