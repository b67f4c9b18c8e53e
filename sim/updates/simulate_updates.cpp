#include "sim/updates/simulate_updates.hpp"

#include <algorithm>

#include "sim/base/effort.hpp"
#include "sim/updates/strategy.hpp"

namespace trainyard {

UpdateTimes simulate_updates(const UpdateJob& job) {
  check(job);
  const Strategy& strategy = strategy_of(job.mode);
  double given = static_cast<double>(job.workers.size()) * job.updates;
  if (job.mode == Synchronisation::kFederated) {
    given *= std::max(1.0 / static_cast<double>(job.workers.size()), job.federation.share) / job.local_steps;
  }
  require_effort({.events = strategy.events(job), .bytes = given * sizeof(Update)},
                 {.file = "--updates", .remedy = "ask for fewer updates, workers or servers"});
  return strategy.simulate(job);
}

}  // namespace trainyard
