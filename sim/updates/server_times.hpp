#pragma once
// What is known of servers and workers when all has happened.
#include "sim/updates/star_network.hpp"
#include "sim/updates/update_times.hpp"

namespace trainyard {

// Waiting is what is left of the total, and servers were as busy as the busier direction of their NICs.
inline void finish_server_times(const UpdateJob& job, const StarNetwork& network, UpdateTimes& out) {
  for (WorkerTimes& one : out.workers) {
    one.waiting = max(Seconds{}, out.total - one.computing - one.transferring);
  }
  out.sent = network.sent();
  out.received = network.received();
  std::size_t own_node = job.workers.size();
  for (const Server& server : job.servers) {
    const std::size_t node = server.worker ? static_cast<std::size_t>(*server.worker) : own_node++;
    const Nic& nic = server.worker ? job.workers[node].nic : server.nic;
    out.server_use.push_back(max(out.sent[node], out.received[node]) / (nic.bandwidth * out.total));
  }
}

}  // namespace trainyard
