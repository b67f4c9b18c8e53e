// The fluid engine: communications are flows on the folded fabric.
#include "sim/engine/event_run.hpp"
#include "sim/engine/simulate.hpp"

namespace trainyard {

Timeline simulate_flow(const Program& program, const Fabric& fabric, const NetworkCosts& costs, Fold fold,
                       LinkSharer sharer) {
  const Quotient quotient = fold_program(program, fabric, costs, fold);
  Timeline timeline = EventRun(program, fabric, quotient, sharer).run();
  timeline.flows_simulated = static_cast<std::int64_t>(quotient.flows.size());
  timeline.flows_real = quotient.flows_real;
  timeline.links_simulated = static_cast<std::int64_t>(quotient.links.size());
  timeline.links_real = quotient.links_real;
  return timeline;
}

}  // namespace trainyard
