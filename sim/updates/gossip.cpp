// Decentralised SGD: every worker makes a step of its own and then averages its parameters with those of its
// neighbours, in lock-step with them alone. Source: Lian et al., "Can decentralized algorithms outperform centralized
// algorithms?", NIPS 2017, arXiv 1705.09056; the step before the average as in Koloskova et al., "A unified theory of
// decentralized SGD with changing topology and local updates", ICML 2020, arXiv 2003.10422, algorithm 1.
#include <algorithm>
#include <utility>

#include "sim/engine/flow_network.hpp"
#include "sim/updates/star_fabric.hpp"
#include "sim/updates/strategy.hpp"

namespace trainyard {
namespace {

struct Way {
  int from = 0;
  int to = 0;
  int moved = 0;  // iterations
};

std::vector<Way> ways_of(const std::vector<std::vector<int>>& neighbours) {
  std::vector<Way> out;
  for (std::size_t worker = 0; worker < neighbours.size(); ++worker) {
    for (const int other : neighbours[worker]) {
      out.push_back({.from = static_cast<int>(worker), .to = other});
    }
  }
  return out;
}

Quotient quotient_of_ways(const UpdateJob& job, const std::vector<Way>& ways) {
  Quotient out{.links = star_links(job.workers.size())};
  for (const Way& way : ways) {
    out.flows.push_back({.bytes = job.parameters,
                         .links = {{out_of(static_cast<std::size_t>(way.from)).value, 1},
                                   {into(static_cast<std::size_t>(way.to)).value, 1}}});
  }
  return out;
}

std::vector<Nic> nics_of_workers(const UpdateJob& job) {
  std::vector<Nic> out;
  for (const Worker& worker : job.workers) {
    out.push_back(worker.nic);
  }
  return out;
}

class GossipRun {
 public:
  explicit GossipRun(const UpdateJob& job)
      : job_(job),
        neighbours_(neighbours_of(job.edges, static_cast<int>(job.workers.size()))),
        ways_(ways_of(neighbours_)),
        quotient_(quotient_of_ways(job, ways_)),
        network_(quotient_, star_fabric(nics_of_workers(job))),
        states_(job.workers.size()),
        ends_(static_cast<std::size_t>(job.updates)) {
    out_.workers.resize(job.workers.size());
    out_.sent.resize(job.workers.size());
    out_.received.resize(job.workers.size());
    int way = 0;
    for (std::size_t worker = 0; worker < states_.size(); ++worker) {
      states_[worker].first_way = way;
      way += static_cast<int>(neighbours_[worker].size());
    }
  }

  UpdateTimes run() {
    for (std::size_t worker = 0; worker < states_.size(); ++worker) {
      compute(static_cast<int>(worker), 0.0);
    }
    while (true) {
      if (network_.share_before(part_.events.next_time(), now_, part_)) {
        continue;
      }
      if (part_.events.empty()) {
        break;
      }
      happen(part_.events.pop());
    }
    return finish();
  }

 private:
  struct State {
    int done = 0;  // iterations
    int first_way = 0;
    int moving = 0;  // of its sends and receipts of this iteration, that have not ended
    int early = 0;   // receipts of the next one: a neighbour is ahead by one at most
    bool is_computing = false;
    int flows = 0;       // that move to it or from it
    double since = 0.0;  // when the first of them began, or it had computed, whichever was later
  };

  State& state(int worker) { return states_[static_cast<std::size_t>(worker)]; }
  WorkerTimes& times(int worker) { return out_.workers[static_cast<std::size_t>(worker)]; }

  void compute(int worker, double now) {
    const Seconds time = compute_time(job_, worker, state(worker).done);
    times(worker).computing += time;
    // What its neighbours send may arrive before it has computed.
    const int ends = 2 * static_cast<int>(neighbours_[static_cast<std::size_t>(worker)].size());
    if (state(worker).flows > 0) {
      count_transfer(worker, now);
    }
    state(worker).is_computing = true;
    state(worker).moving = ends - std::exchange(state(worker).early, 0);
    part_.events.push(EventKind::kKernelsEnd, now + time.value, worker);
  }

  void happen(const QueuedEvent& event) {
    now_ = std::max(now_, event.time);
    if (event.kind == EventKind::kKernelsEnd) {
      send(event.subject);
    } else if (event.kind == EventKind::kGroupStart) {
      const Way& way = ways_[static_cast<std::size_t>(event.subject)];
      begin_flow(way.from);
      begin_flow(way.to);
      network_.start(event.subject, now_, 1.0, part_);
    } else if (network_.end(event, part_)) {
      Way& way = ways_[static_cast<std::size_t>(event.subject)];
      const int iteration = way.moved++;
      end_flow(way.from);
      end_flow(way.to);
      moved(way.from, iteration);
      moved(way.to, iteration);
    }
  }

  void begin_flow(int worker) {
    if (state(worker).flows++ == 0) {
      state(worker).since = now_;
    }
  }
  void end_flow(int worker) {
    if (--state(worker).flows == 0) {
      count_transfer(worker, now_);
    }
  }
  // What moves while a worker computes costs it nothing.
  void count_transfer(int worker, double now) {
    if (!state(worker).is_computing) {
      times(worker).transferring += Seconds{now - state(worker).since};
    }
  }

  void send(int worker) {
    State& own = state(worker);
    own.is_computing = false;
    own.since = now_;
    if (neighbours_[static_cast<std::size_t>(worker)].empty()) {  // a worker alone
      iterated(worker);
      return;
    }
    int way = own.first_way;
    for (const int other : neighbours_[static_cast<std::size_t>(worker)]) {
      const auto nic = [&](int one) { return job_.workers[static_cast<std::size_t>(one)].nic; };
      part_.events.push(EventKind::kGroupStart, now_ + max(nic(worker).latency, nic(other).latency).value, way++);
      out_.sent[static_cast<std::size_t>(worker)] += job_.parameters;
      out_.received[static_cast<std::size_t>(other)] += job_.parameters;
    }
  }

  void moved(int worker, int iteration) {
    if (iteration > state(worker).done) {
      ++state(worker).early;
    } else if (--state(worker).moving == 0) {
      iterated(worker);
    }
  }

  void iterated(int worker) {
    double& end = ends_[static_cast<std::size_t>(state(worker).done)];
    end = std::max(end, now_);
    if (++state(worker).done < job_.updates) {
      compute(worker, now_);
    }
  }

  UpdateTimes finish() {
    out_.total = {now_};
    out_.versions = job_.updates;
    for (int version = 0; version < job_.updates; ++version) {
      for (std::size_t worker = 0; worker < states_.size(); ++worker) {
        out_.updates.push_back({.time = {ends_[static_cast<std::size_t>(version)]},
                                .worker = static_cast<int>(worker),
                                .read = version,
                                .applied = version});
      }
    }
    for (WorkerTimes& one : out_.workers) {
      one.waiting = max(Seconds{}, out_.total - one.computing - one.transferring);
    }
    return std::move(out_);
  }

  const UpdateJob& job_;
  std::vector<std::vector<int>> neighbours_;
  std::vector<Way> ways_;
  Quotient quotient_;
  FlowNetwork network_;
  FlowNetwork::Part part_;
  std::vector<State> states_;
  std::vector<double> ends_;  // of every iteration: when the last worker was through
  double now_ = 0.0;
  UpdateTimes out_;
};

}  // namespace

void check_gossip(const UpdateJob& job) {
  neighbours_of(job.edges, static_cast<int>(job.workers.size()));
}

UpdateTimes simulate_gossip(const UpdateJob& job) {
  return GossipRun(job).run();
}

// Every flow that begins or ends gives new shares to those that it meets, at both ends.
double gossip_events(const UpdateJob& job) {
  constexpr double kEventsOfShare = 0.1;  // a share takes 50 ns
  const double ways = 2.0 * static_cast<double>(job.edges.size());
  const double met = 2.0 * ways / static_cast<double>(job.workers.size());
  return job.updates * (static_cast<double>(job.workers.size()) + ways * (2.0 + 2.0 * met * kEventsOfShare));
}

}  // namespace trainyard
