#pragma once
// Jobs of equal workers on equal NICs.
#include "sim/updates/simulate_updates.hpp"
#include "sim/updates/strategy.hpp"

namespace trainyard {

inline constexpr Nic kTenGigabit{.bandwidth = {1.25e9}, .latency = {}};

inline UpdateJob equal_workers(int workers, Seconds compute, Bytes parameters, Synchronisation mode) {
  UpdateJob job{.parameters = parameters, .mode = mode};
  job.workers.assign(static_cast<std::size_t>(workers), {.compute = compute, .nic = kTenGigabit});
  return job;
}

inline void add_dedicated_servers(UpdateJob& job, int servers) {
  job.servers.insert(job.servers.end(), static_cast<std::size_t>(servers), {.nic = kTenGigabit});
}

inline void add_server_at_every_worker(UpdateJob& job) {
  for (std::size_t worker = 0; worker < job.workers.size(); ++worker) {
    job.servers.push_back({.worker = static_cast<int>(worker)});
  }
}

}  // namespace trainyard
