#include "sim/updates/simulate_updates.hpp"

#include "sim/base/effort.hpp"
#include "sim/updates/strategy.hpp"

namespace trainyard {

UpdateTimes simulate_updates(const UpdateJob& job) {
  check(job);
  const Strategy& strategy = strategy_of(job.mode);
  const double gradients = static_cast<double>(job.workers.size()) * job.updates;
  require_effort({.events = strategy.events(job), .bytes = gradients * sizeof(Update)},
                 {.file = "--updates", .remedy = "ask for fewer updates, workers or servers"});
  return strategy.simulate(job);
}

}  // namespace trainyard
