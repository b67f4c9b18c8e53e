// Synchronous steps layer by layer: a layer is pushed when its gradient is made, averaged when all have pushed it, and
// pulled at once, while other layers are still being made. Source: Li et al., OSDI 2014 (keys of their own); Peng et
// al., "A generic communication scheduler for distributed DNN training acceleration", SOSP 2019 (what it hides).
#include <algorithm>
#include <deque>
#include <utility>

#include "sim/updates/pushed.hpp"
#include "sim/updates/server_times.hpp"
#include "sim/updates/server_work.hpp"
#include "sim/updates/strategy.hpp"

namespace trainyard {
namespace {

// Layers are counted on from step to step, in the order in which they are made.
class LayerwiseRun {
 public:
  explicit LayerwiseRun(const UpdateJob& job)
      : job_(job),
        network_(job),
        layers_(static_cast<int>(job.layers.size())),
        workers_(job.workers.size()),
        servers_(network_.classes().size()) {
    out_.workers.resize(workers_.size());
    for (State& one : workers_) {
      one.pushed.resize(servers_.size());
      one.pulled.resize(servers_.size());
    }
  }

  UpdateTimes run() {
    for (int worker = 0; worker < static_cast<int>(workers_.size()); ++worker) {
      compute(worker, 0.0);
    }
    while (const auto happened = network_.next()) {
      const double now = happened->time;
      if (!happened->is_flow) {
        happened->what < layers_ ? made(happened->worker, now) : applied(happened->what - layers_, now);
      } else if (happened->kind == ServerExchange::kPush) {
        const int upto = happened->is_last ? state(happened->worker).made : happened->layers;
        pushed(happened->worker, happened->servers, upto, now);
      } else {
        const int upto = happened->is_last ? servers_[happened->servers].applied : happened->layers;
        pulled(happened->worker, happened->servers, upto, now);
      }
    }
    finish_server_times(job_, network_, out_);
    return std::move(out_);
  }

 private:
  struct State {
    int begun = 0;  // iterations
    int made = 0;
    double computed = 0.0;    // when its iteration ends
    std::vector<int> pushed;  // by class of servers: what has arrived
    std::vector<int> pulled;
  };
  struct ServerState {
    int pushed = 0;            // of which all workers' gradients have arrived
    int applied = 0;           // may be pulled
    double free = 0.0;         // when it has done what it has to do
    std::deque<int> applying;  // how far each of its applications under way will come
  };

  State& state(int worker) { return workers_[static_cast<std::size_t>(worker)]; }
  WorkerTimes& times(int worker) { return out_.workers[static_cast<std::size_t>(worker)]; }
  double share(std::size_t servers, int layer) const {
    return network_.classes()[servers].layers[static_cast<std::size_t>(layer % layers_)];
  }

  void compute(int worker, double now) {
    if (state(worker).begun >= job_.updates) {
      return;
    }
    const int iteration = state(worker).begun++;
    const Seconds time = compute_time(job_, worker, iteration) + encode_time(job_, iteration);
    times(worker).computing += time;
    state(worker).computed = now + time.value;
    for (int layer = 0; layer < layers_; ++layer) {
      network_.after(now, time * job_.layers[static_cast<std::size_t>(layer)].ready, worker, layer);
    }
  }

  void made(int worker, double now) {
    const int layer = state(worker).made++;
    const double scale = pushed_share(job_, state(worker).begun - 1);
    for (std::size_t servers = 0; servers < servers_.size(); ++servers) {
      network_.start_layer({worker, ServerExchange::kPush}, servers, static_cast<std::size_t>(layer % layers_), scale,
                           now);
      if (!network_.is_moving({worker, ServerExchange::kPush}, servers)) {
        pushed(worker, servers, state(worker).made, now);
      }
    }
  }

  void pushed(int worker, std::size_t servers, int upto, double now) {
    ServerState& at = servers_[servers];
    const double scale = pushed_share(job_, state(worker).begun - 1);
    at.free = std::max(at.free, now);
    int& arrived = state(worker).pushed[servers];
    for (; arrived < upto; ++arrived) {
      at.free += gather_time(job_, share(servers, arrived), scale).value;
    }
    if (std::all_of(state(worker).pushed.begin(), state(worker).pushed.end(),
                    [&](int one) { return one == state(worker).begun * layers_; })) {
      times(worker).transferring += Seconds{std::max(0.0, now - state(worker).computed)};
    }
    const int before = at.pushed;
    at.pushed = std::min_element(workers_.begin(), workers_.end(), [&](const State& a, const State& b) {
                  return a.pushed[servers] < b.pushed[servers];
                })->pushed[servers];
    for (int layer = before; layer < at.pushed; ++layer) {
      at.free += apply_time(job_, share(servers, layer)).value;
    }
    if (at.pushed > before) {
      network_.after(at.free, {}, 0, layers_ + static_cast<int>(servers));
      at.applying.push_back(at.pushed);
    }
  }

  void applied(int servers_number, double now) {
    const auto servers = static_cast<std::size_t>(servers_number);
    ServerState& at = servers_[servers];
    const int before = std::exchange(at.applied, at.applying.front());
    at.applying.pop_front();
    count_versions(now);
    for (int worker = 0; worker < static_cast<int>(workers_.size()); ++worker) {
      for (int layer = before; layer < at.applied; ++layer) {
        network_.start_layer({worker, ServerExchange::kPull}, servers, static_cast<std::size_t>(layer % layers_), 1.0,
                             now);
      }
      if (!network_.is_moving({worker, ServerExchange::kPull}, servers)) {
        pulled(worker, servers, at.applied, now);
      }
    }
  }

  // A version is there when all servers have applied all layers of its step.
  void count_versions(double now) {
    const int least =
        std::min_element(servers_.begin(), servers_.end(), [](const ServerState& a, const ServerState& b) {
          return a.applied < b.applied;
        })->applied;
    for (; out_.versions < least / layers_; ++out_.versions) {
      versioned_ = now;
      for (int worker = 0; worker < static_cast<int>(workers_.size()); ++worker) {
        out_.updates.push_back({.time = {now}, .worker = worker, .read = out_.versions, .applied = out_.versions});
      }
    }
  }

  void pulled(int worker, std::size_t servers, int upto, double now) {
    State& own = state(worker);
    if (own.pulled[servers] == upto) {
      return;
    }
    own.pulled[servers] = upto;
    if (std::all_of(own.pulled.begin(), own.pulled.end(), [&](int one) { return one == own.begun * layers_; })) {
      times(worker).transferring += Seconds{now - versioned_};
      out_.total = max(out_.total, Seconds{now});
      compute(worker, now);
    }
  }

  const UpdateJob& job_;
  StarNetwork network_;
  int layers_;
  std::vector<State> workers_;
  std::vector<ServerState> servers_;
  double versioned_ = 0.0;  // when the last version was there
  UpdateTimes out_;
};

}  // namespace

UpdateTimes simulate_layerwise(const UpdateJob& job) {
  return LayerwiseRun(job).run();
}

}  // namespace trainyard
