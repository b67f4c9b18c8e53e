// Local SGD. Source: Stich, "Local SGD converges fast and communicates little", ICLR 2019, arXiv 1805.09767. DiLoCo
// moves the same bytes at the same times: Douillard et al., arXiv 2311.08105.
#include <fmt/format.h>

#include "sim/updates/compressors/demand.hpp"
#include "sim/updates/rings.hpp"
#include "sim/updates/strategy.hpp"

namespace trainyard {

void check_local_steps(const UpdateJob& job) {
  demand(job.local_steps >= 1, "--local-steps", fmt::format("{}", job.local_steps), "1 or more",
         "workers would never compute between two all-reduces");
}

UpdateTimes simulate_local_steps(const UpdateJob& job) {
  return simulate_rounds(job, equal_rounds(job.updates, job.local_steps));
}

}  // namespace trainyard
