#include "sim/updates/server_work.hpp"

namespace trainyard {

Seconds gather_time(const UpdateJob& job, double share, double pushed_share) {
  return job.parameters * ((2.0 + pushed_share) * share) / job.server_memory;
}

Seconds apply_time(const UpdateJob& job, double share) {
  return job.parameters * (job.update_traffic * share) / job.server_memory;
}

}  // namespace trainyard
