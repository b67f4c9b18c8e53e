// Workers that compute, push gradients to servers and pull parameters, event by event.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "sim/updates/compressors/demand.hpp"
#include "sim/updates/pushed.hpp"
#include "sim/updates/server_times.hpp"
#include "sim/updates/server_work.hpp"
#include "sim/updates/shards.hpp"
#include "sim/updates/strategy.hpp"

namespace trainyard {
namespace {

// Servers take the mean of gradients, so that a version has several.
bool averages(Synchronisation mode) {
  return mode == Synchronisation::kSynchronous || mode == Synchronisation::kBackupWorkers;
}

// What a delay of a worker was for: kLayerMade and more are layers.
enum DelayOf : int { kComputed = 0, kGathered, kLayerMade };

class ServerRun {
 public:
  explicit ServerRun(const UpdateJob& job)
      : job_(job),
        network_(job),
        states_(job.workers.size()),
        largest_shard_(largest_shard(job)),
        compressed_share_(trainyard::pushed_share(job, std::numeric_limits<int>::max())) {
    out_.workers.resize(job.workers.size());
  }

  UpdateTimes run() {
    for (int worker = 0; worker < workers(); ++worker) {
      compute(worker, 0.0);
    }
    while (const auto happened = network_.next()) {
      if (!happened->is_flow) {
        delayed(happened->worker, happened->what, happened->time);
      } else if (happened->is_last) {
        --state(happened->worker).flows;
        look_whether_moved(happened->worker, happened->time);
      }
    }
    finish_server_times(job_, network_, out_);
    return std::move(out_);
  }

 private:
  struct State {
    int read = 0;       // the version it has
    int completed = 0;  // iterations of which the gradient has arrived
    int begun = 0;
    int flows = 0;     // of its transfer, that have not ended
    int to_issue = 0;  // layers whose gradients are still being made
    ServerExchange kind = ServerExchange::kPush;
    double since = 0.0;    // when its transfer began
    bool waiting = false;  // for others, before it pulls
    bool is_late = false;  // its gradient, for the mean of its step
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
    const int iteration = state(worker).begun++;
    const Seconds time = compute_time(job_, worker, iteration) + encode_time(job_, iteration);
    ++begun_;
    times(worker).computing += time;
    if (job_.push_unit == PushUnit::kWhole || job_.layers.empty()) {
      network_.after(now, time, worker, kComputed);
      return;
    }
    State& own = state(worker);
    own.kind = ServerExchange::kPush;
    own.waiting = false;
    own.since = now + time.value;
    own.to_issue = static_cast<int>(job_.layers.size());
    for (std::size_t layer = 0; layer < job_.layers.size(); ++layer) {
      network_.after(now, time * job_.layers[layer].ready, worker, kLayerMade + static_cast<int>(layer));
    }
  }

  void delayed(int worker, int what, double now) {
    if (what == kComputed) {
      transfer(worker, ServerExchange::kPush, now);
    } else if (what == kGathered) {
      take(worker, now);
    } else {
      --state(worker).to_issue;
      const auto layer = static_cast<std::size_t>(what - kLayerMade);
      const double scale = pushed_share(state(worker).begun - 1);
      for (std::size_t servers = 0; servers < network_.classes().size(); ++servers) {
        state(worker).flows += network_.start_layer({worker, ServerExchange::kPush}, servers, layer, scale, now);
      }
      look_whether_moved(worker, now);
    }
  }

  void look_whether_moved(int worker, double now) {
    if (state(worker).flows == 0 && state(worker).to_issue == 0) {
      transferred(worker, now);
    }
  }

  // Of the bytes of the parameters; the same in every iteration that is compressed.
  double pushed_share(int iteration) const { return is_compressed(job_, iteration) ? compressed_share_ : 1.0; }

  void transfer(int worker, ServerExchange kind, double now) {
    State& moved = state(worker);
    moved.kind = kind;
    moved.since = now;
    moved.waiting = false;
    if (kind == ServerExchange::kPull) {
      moved.read = out_.versions;
    }
    const double scale = kind == ServerExchange::kPush ? pushed_share(moved.begun - 1) : 1.0;
    moved.flows = network_.start({worker, kind}, scale, now);
    look_whether_moved(worker, now);
  }

  void transferred(int worker, double now) {
    times(worker).transferring += Seconds{now - state(worker).since};
    if (state(worker).kind == ServerExchange::kPull) {
      out_.total = max(out_.total, Seconds{now});
      compute(worker, now);
      return;
    }
    const Seconds work = server_work(worker);
    if (work.value <= 0.0) {
      take(worker, now);
      return;
    }
    servers_free_ = std::max(servers_free_, now) + work.value;
    network_.after(servers_free_, {}, worker, kGathered);
  }

  // What the server that keeps most has to do for this gradient. All do it at the same time, one gradient after
  // another.
  Seconds server_work(int worker) {
    const double pushed = pushed_share(state(worker).begun - 1);
    if (!averages(job_.mode)) {
      return (pushed < 1.0 ? gather_time(job_, largest_shard_, pushed) : Seconds{}) + apply_time(job_, largest_shard_);
    }
    state(worker).is_late = state(worker).read != out_.versions || arrived_ == needed();
    if (state(worker).is_late) {
      return {};
    }
    ++arrived_;
    return gather_time(job_, largest_shard_, pushed) +
           (arrived_ == needed() ? apply_time(job_, largest_shard_) : Seconds{});
  }

  // A gradient that has arrived counts.
  void take(int worker, double now) {
    ++state(worker).completed;
    if (averages(job_.mode)) {
      gather(worker, now);
    } else {
      apply(worker, now);
    }
  }

  // Gradients of a step.
  int needed() const { return workers() - (job_.mode == Synchronisation::kBackupWorkers ? job_.backup : 0); }

  // A gradient of the mean. The last of those that a step waits for makes the update.
  void gather(int worker, double now) {
    if (state(worker).is_late) {
      ++out_.dropped;
      if (!is_over()) {
        transfer(worker, ServerExchange::kPull, now);
      }
      return;
    }
    gathered_.push_back(worker);
    state(worker).waiting = true;
    if (static_cast<int>(gathered_.size()) < needed()) {
      return;
    }
    // Those that made the step, in the order of their numbers: their mean does not depend on who was first.
    std::sort(gathered_.begin(), gathered_.end());
    for (const int one : gathered_) {
      out_.updates.push_back({.time = {now}, .worker = one, .read = out_.versions, .applied = out_.versions});
    }
    ++out_.versions;
    arrived_ = 0;
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

  const UpdateJob& job_;
  StarNetwork network_;
  std::vector<State> states_;
  std::vector<int> gathered_;
  std::int64_t begun_ = 0;
  int arrived_ = 0;            // gradients of the step that servers have begun with
  double servers_free_ = 0.0;  // when they are through with what has arrived
  double largest_shard_;
  double compressed_share_;
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
  const double layers =
      job.push_unit == PushUnit::kPerLayer ? static_cast<double>(std::max<std::size_t>(1, job.layers.size())) : 1.0;
  return gradients * layers * (1.0 + 4.0 * flows * kEventsOfShare);
}

UpdateTimes simulate_servers(const UpdateJob& job) {
  const bool is_layerwise =
      job.mode == Synchronisation::kSynchronous && job.push_unit == PushUnit::kPerLayer && !job.layers.empty();
  return is_layerwise ? simulate_layerwise(job) : ServerRun(job).run();
}

}  // namespace trainyard
