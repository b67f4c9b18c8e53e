#pragma once
// Workers that compute, push gradients to servers and pull parameters, event by event.
#include "sim/updates/update_job.hpp"
#include "sim/updates/update_times.hpp"

namespace trainyard {

// Of a checked job whose mode has servers.
UpdateTimes simulate_servers(const UpdateJob& job);

// How long one iteration of a worker computes.
Seconds compute_time(const UpdateJob& job, int worker, int iteration);

}  // namespace trainyard
