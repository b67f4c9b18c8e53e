// Longest path over the same Program: every communication at the time it takes alone.
#include "sim/engine/event_run.hpp"
#include "sim/engine/laid_out.hpp"
#include "sim/engine/simulate.hpp"

namespace trainyard {

Timeline simulate_analytic(const Program& program, const Fabric& fabric, const NetworkCosts& costs) {
  const LaidOut laid = lay_out_alone(program, fabric, costs);
  const Quotient quotient = fold_laid_out(program, fabric, laid, Fold::kOn);
  return run_events(program, fabric, quotient);
}

}  // namespace trainyard
