#include "sim/updates/update_job.hpp"

#include <fmt/format.h>

#include <string>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

void demand(bool holds, const char* flag, const std::string& found, const std::string& allowed,
            const std::string& problem) {
  if (!holds) {
    throw UserError({.file = flag, .found = found, .allowed = allowed, .problem = problem});
  }
}

void check_servers(const UpdateJob& job) {
  const int workers = static_cast<int>(job.workers.size());
  demand(!job.servers.empty(), "--servers", "0", "1 or more", "parameters need a server that keeps them");
  for (const Server& server : job.servers) {
    demand(!server.worker || (*server.worker >= 0 && *server.worker < workers), "--servers",
           fmt::format("a server beside worker {}", server.worker.value_or(0)),
           fmt::format("workers 0 to {}", workers - 1), "a server shares the node of a worker that does not exist");
    demand(server.worker || server.nic.bandwidth.value > 0.0, "--bandwidth", "0 B/s", "more than nothing",
           "nothing would arrive at the servers");
  }
}

}  // namespace

void check(const UpdateJob& job) {
  const int workers = static_cast<int>(job.workers.size());
  demand(workers >= 1, "--workers", "0", "1 or more", "nobody computes");
  demand(job.updates >= 1, "--updates", fmt::format("{}", job.updates), "1 or more", "nothing would be simulated");
  demand(job.parameters.value > 0.0, "--parameters", "0 B", "more than nothing", "there is nothing to update");
  demand(job.jitter >= 0.0 && job.jitter <= 10.0, "--jitter", fmt::format("{}", job.jitter), "0 to 10",
         "jitter is the standard deviation of a time as a fraction of its mean");
  for (const Worker& worker : job.workers) {
    demand(worker.nic.bandwidth.value > 0.0, "--bandwidth", "0 B/s", "more than nothing",
           "nothing would arrive at the workers");
    demand(worker.slowdown > 0.0, "--slowdown", fmt::format("{}", worker.slowdown), "more than 0",
           "a worker would take no time");
  }
  if (has_servers(job.mode)) {
    check_servers(job);
  }
  if (job.mode == Synchronisation::kBackupWorkers) {
    demand(job.backup >= 0 && job.backup < workers, "--backup", fmt::format("{}", job.backup),
           fmt::format("0 to {}, of {} workers", workers - 1, workers), "no worker would be left to wait for");
  }
  if (job.mode == Synchronisation::kStaleSynchronous) {
    demand(job.bound >= 0, "--bound", fmt::format("{}", job.bound), "0 or more", "the bound of staleness is negative");
  }
  if (job.mode == Synchronisation::kLocalSteps) {
    demand(job.local_steps >= 1, "--local-steps", fmt::format("{}", job.local_steps), "1 or more",
           "workers would never compute between two all-reduces");
  }
}

}  // namespace trainyard
