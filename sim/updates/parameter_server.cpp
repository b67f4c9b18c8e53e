// Workers that compute, push gradients to servers and pull parameters, event by event.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/updates/demand.hpp"
#include "sim/updates/star_network.hpp"
#include "sim/updates/strategy.hpp"

namespace trainyard {
namespace {

// Servers take the mean of gradients, so that a version has several.
bool averages(Synchronisation mode) {
  return mode == Synchronisation::kSynchronous || mode == Synchronisation::kBackupWorkers;
}

class ServerRun {
 public:
  explicit ServerRun(const UpdateJob& job) : job_(job), network_(job), states_(job.workers.size()) {
    out_.workers.resize(job.workers.size());
  }

  UpdateTimes run() {
    for (int worker = 0; worker < workers(); ++worker) {
      compute(worker, 0.0);
    }
    while (const auto happened = network_.next()) {
      const int worker = happened->worker;
      State& state = states_[static_cast<std::size_t>(worker)];
      if (!happened->is_flow) {
        transfer(worker, ServerExchange::kPush, happened->time);
      } else if (--state.flows == 0) {
        transferred(worker, happened->time);
      }
    }
    finish();
    return std::move(out_);
  }

 private:
  struct State {
    int read = 0;       // the version it has
    int completed = 0;  // iterations of which the gradient has arrived
    int begun = 0;
    int flows = 0;  // of its transfer, that have not ended
    ServerExchange kind = ServerExchange::kPush;
    double since = 0.0;    // when its transfer began
    bool waiting = false;  // for others, before it pulls
  };

  int workers() const { return static_cast<int>(states_.size()); }
  State& state(int worker) { return states_[static_cast<std::size_t>(worker)]; }
  WorkerTimes& times(int worker) { return out_.workers[static_cast<std::size_t>(worker)]; }
  bool is_over() const {
    return averages(job_.mode) ? out_.versions >= job_.updates : begun_ >= std::int64_t{job_.updates} * workers();
  }

  void compute(int worker, double now) {
    if (is_over()) {
      return;
    }
    const Seconds time = compute_time(job_, worker, state(worker).begun++);
    ++begun_;
    times(worker).computing += time;
    network_.after(now, time, worker);
  }

  void transfer(int worker, ServerExchange kind, double now) {
    State& moved = state(worker);
    moved.kind = kind;
    moved.since = now;
    moved.waiting = false;
    if (kind == ServerExchange::kPull) {
      moved.read = out_.versions;
    }
    moved.flows = network_.start(worker, kind, now);
    if (moved.flows == 0) {
      transferred(worker, now);
    }
  }

  void transferred(int worker, double now) {
    times(worker).transferring += Seconds{now - state(worker).since};
    if (state(worker).kind == ServerExchange::kPull) {
      out_.total = max(out_.total, Seconds{now});
      compute(worker, now);
      return;
    }
    ++state(worker).completed;
    if (averages(job_.mode)) {
      gather(worker, now);
    } else {
      apply(worker, now);
    }
  }

  // A gradient of the mean. The last of those that a step waits for makes the update.
  void gather(int worker, double now) {
    if (state(worker).read != out_.versions) {
      ++out_.dropped;
      if (!is_over()) {
        transfer(worker, ServerExchange::kPull, now);
      }
      return;
    }
    gathered_.push_back(worker);
    state(worker).waiting = true;
    const int backup = job_.mode == Synchronisation::kBackupWorkers ? job_.backup : 0;
    if (static_cast<int>(gathered_.size()) < workers() - backup) {
      return;
    }
    // Those that made the step, in the order of their numbers: their mean does not depend on who was first.
    std::sort(gathered_.begin(), gathered_.end());
    for (const int one : gathered_) {
      out_.updates.push_back({.time = {now}, .worker = one, .read = out_.versions, .applied = out_.versions});
    }
    ++out_.versions;
    for (const int one : std::exchange(gathered_, {})) {
      transfer(one, ServerExchange::kPull, now);
    }
  }

  // A gradient that is an update of its own.
  void apply(int worker, double now) {
    out_.updates.push_back({.time = {now}, .worker = worker, .read = state(worker).read, .applied = out_.versions});
    ++out_.versions;
    state(worker).waiting = true;
    if (job_.mode == Synchronisation::kAsynchronous) {
      transfer(worker, ServerExchange::kPull, now);
      return;
    }
    const auto slowest = std::min_element(states_.begin(), states_.end(),
                                          [](const State& a, const State& b) { return a.completed < b.completed; });
    const int furthest = slowest->completed + job_.bound;
    for (int one = 0; one < workers(); ++one) {
      if (state(one).waiting && state(one).completed <= furthest) {
        transfer(one, ServerExchange::kPull, now);
      }
    }
  }

  void finish() {
    for (WorkerTimes& one : out_.workers) {
      one.waiting = max(Seconds{}, out_.total - one.computing - one.transferring);
    }
    out_.sent = network_.sent();
    out_.received = network_.received();
    std::size_t own_node = job_.workers.size();
    for (const Server& server : job_.servers) {
      const std::size_t node = server.worker ? static_cast<std::size_t>(*server.worker) : own_node++;
      const Nic& nic = server.worker ? job_.workers[node].nic : server.nic;
      out_.server_use.push_back(max(out_.sent[node], out_.received[node]) / (nic.bandwidth * out_.total));
    }
  }

  const UpdateJob& job_;
  StarNetwork network_;
  std::vector<State> states_;
  std::vector<int> gathered_;
  std::int64_t begun_ = 0;
  UpdateTimes out_;
};

}  // namespace

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

void check_backup_workers(const UpdateJob& job) {
  check_servers(job);
  const int workers = static_cast<int>(job.workers.size());
  demand(job.backup >= 0 && job.backup < workers, "--backup", fmt::format("{}", job.backup),
         fmt::format("0 to {}, of {} workers", workers - 1, workers), "no worker would be left to wait for");
}

void check_stale_synchronous(const UpdateJob& job) {
  check_servers(job);
  demand(job.bound >= 0, "--bound", fmt::format("{}", job.bound), "0 or more", "the bound of staleness is negative");
}

// Every flow that begins or ends gives new shares to those that it meets: at worst to all.
double server_events(const UpdateJob& job) {
  constexpr double kEventsOfShare = 0.1;  // a share takes 50 ns
  const double gradients = static_cast<double>(job.workers.size()) * job.updates;
  const double flows = static_cast<double>(job.workers.size() * server_classes(job).size());
  return gradients * (1.0 + 4.0 * flows * kEventsOfShare);
}

UpdateTimes simulate_servers(const UpdateJob& job) {
  return ServerRun(job).run();
}

}  // namespace trainyard
