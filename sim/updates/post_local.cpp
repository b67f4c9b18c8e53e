// Post-local SGD: synchronous while the loss falls fast, local steps from then on. Source: Lin et al., "Don't use large
// mini-batches, use local SGD", ICLR 2020, arXiv 1808.07217.
#include <fmt/format.h>

#include <algorithm>

#include "sim/updates/compressors/demand.hpp"
#include "sim/updates/rings.hpp"
#include "sim/updates/strategy.hpp"

namespace trainyard {

void check_post_local(const UpdateJob& job) {
  check_local_steps(job);
  demand(job.switch_at >= 0, "--switch-at", fmt::format("{}", job.switch_at), "0 or more",
         "the switch to local steps would come before the first update");
}

UpdateTimes simulate_post_local(const UpdateJob& job) {
  const int synchronous = std::min(job.switch_at, job.updates);
  std::vector<int> rounds = equal_rounds(synchronous, 1);
  const std::vector<int> local = equal_rounds(job.updates - synchronous, job.local_steps);
  rounds.insert(rounds.end(), local.begin(), local.end());
  return simulate_rounds(job, rounds);
}

}  // namespace trainyard
