#pragma once
// What servers take to add gradients up and to apply them: the traffic of their memory.
#include "sim/updates/update_job.hpp"

namespace trainyard {

// A push of so many bytes for each byte of parameters, added to a sum by a server of such a share of them: the sum read
// and written, the push read.
Seconds gather_time(const UpdateJob& job, double share, double pushed_share);

// The optimizer's step.
Seconds apply_time(const UpdateJob& job, double share);

}  // namespace trainyard
