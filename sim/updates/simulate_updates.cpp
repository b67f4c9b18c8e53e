#include "sim/updates/simulate_updates.hpp"

#include <algorithm>
#include <limits>

#include "sim/base/effort.hpp"
#include "sim/updates/parameter_server.hpp"
#include "sim/updates/star_network.hpp"

namespace trainyard {
namespace {

// A ring: 2 (n - 1) steps of 1/n of the bytes, each with a message's latency. Source: Patarasuk and Yuan, "Bandwidth
// optimal all-reduce algorithms for clusters of workstations", JPDC 69(2), 2009.
Seconds ring_time(const UpdateJob& job) {
  const auto workers = static_cast<double>(job.workers.size());
  BytesPerSecond slowest{std::numeric_limits<double>::infinity()};
  Seconds latency{};
  for (const Worker& worker : job.workers) {
    slowest = min(slowest, worker.nic.bandwidth);
    latency = max(latency, worker.nic.latency);
  }
  return 2.0 * (workers - 1.0) * (job.parameters / workers / slowest + latency);
}

// All workers compute, the slowest one's time, and meet in a ring.
UpdateTimes simulate_rings(const UpdateJob& job) {
  const int workers = static_cast<int>(job.workers.size());
  const int local = job.mode == Synchronisation::kLocalSteps ? job.local_steps : 1;
  const Seconds ring = ring_time(job);
  UpdateTimes out{.workers = std::vector<WorkerTimes>(job.workers.size())};
  for (int done = 0; done < job.updates; done += local) {
    const int steps = std::min(local, job.updates - done);
    Seconds longest{};
    for (int worker = 0; worker < workers; ++worker) {
      Seconds time{};
      for (int step = 0; step < steps; ++step) {
        time += compute_time(job, worker, done + step);
      }
      out.workers[static_cast<std::size_t>(worker)].computing += time;
      longest = max(longest, time);
    }
    out.total += longest + ring;
    for (int worker = 0; worker < workers; ++worker) {
      out.updates.push_back({.time = out.total, .worker = worker, .read = out.versions, .applied = out.versions});
    }
    ++out.versions;
  }
  const Bytes moved = job.parameters * (2.0 * (workers - 1.0) / workers * out.versions);
  out.sent.assign(job.workers.size(), moved);
  out.received = out.sent;
  for (WorkerTimes& one : out.workers) {
    one.transferring = ring * out.versions;
    one.waiting = max(Seconds{}, out.total - one.computing - one.transferring);  // below by rounding
  }
  return out;
}

// Every flow that begins or ends gives new shares to those that it meets: at worst to all.
void require_updates_effort(const UpdateJob& job) {
  constexpr double kEventsOfShare = 0.1;  // a share takes 50 ns
  const double gradients = static_cast<double>(job.workers.size()) * job.updates;
  double events = gradients;
  if (has_servers(job.mode)) {
    const double flows = static_cast<double>(job.workers.size() * server_classes(job).size());
    events += gradients * 4.0 * flows * kEventsOfShare;
  }
  require_effort({.events = events, .bytes = gradients * sizeof(Update)},
                 {.file = "--updates", .remedy = "ask for fewer updates, workers or servers"});
}

}  // namespace

UpdateTimes simulate_updates(const UpdateJob& job) {
  check(job);
  require_updates_effort(job);
  return has_servers(job.mode) ? simulate_servers(job) : simulate_rings(job);
}

}  // namespace trainyard
