#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "tests/updates/update_jobs.hpp"

using namespace trainyard;

namespace test_gossip {

using doctest::Approx;

TEST_CASE("neighbours of a ring send to both sides through one NIC") {
  // 2 x 100 MB out of 1.25 GB/s and as many in: 160 ms beside 10 ms of computing.
  UpdateJob job = equal_workers(6, 10_ms, 100_MB, Synchronisation::kGossip);
  job.edges = edges_of(GraphKind::kRing, 6);
  job.updates = 5;
  const UpdateTimes times = simulate_updates(job);
  CHECK(times.total.value == Approx(5 * 0.170).epsilon(1e-9));
  CHECK(times.versions == 5);
  CHECK(times.sent[3].value == Approx(5 * 200e6));
  CHECK(times.received[3].value == Approx(5 * 200e6));
  CHECK(times.workers[3].transferring.value == Approx(5 * 0.160));
}

TEST_CASE("a slow worker holds up its neighbours at once, and workers further away later") {
  // A chain 0-1-2-3 of next to no bytes, worker 0 takes 50 ms, others 10: all end with worker 0's last, but those at
  // the far end are through a bit of the way earlier.
  UpdateJob job = equal_workers(4, 10_ms, 1_B, Synchronisation::kGossip);
  job.workers[0].slowdown = 5.0;
  job.edges = {{0, 1}, {1, 2}, {2, 3}};
  job.updates = 10;
  const UpdateTimes times = simulate_updates(job);
  CHECK(times.total.value == Approx(0.5).epsilon(1e-6));
  // Worker 3 needs of worker 0 what it had done two iterations before: it computes ten times 10 ms and waits the rest.
  CHECK(times.workers[3].computing.value == Approx(0.1));
  CHECK(times.workers[3].waiting.value == Approx(0.4).epsilon(1e-6));
}

TEST_CASE("a worker begins an iteration when it and its neighbours have ended the one before") {
  CHECK(rc::check([] {
    const int workers = *rc::gen::inRange(2, 8);
    UpdateJob job = equal_workers(workers, 10_ms, 1_B, Synchronisation::kGossip);
    job.edges = edges_of(*rc::gen::element(GraphKind::kRing, GraphKind::kExponential), workers);
    job.jitter = 0.5;
    job.seed = *rc::gen::arbitrary<std::uint64_t>();
    job.updates = *rc::gen::inRange(1, 12);
    const UpdateTimes times = simulate_updates(job);
    // Without bytes: the end of an iteration is the latest of those that a worker waits for.
    const std::vector<std::vector<int>> neighbours = neighbours_of(job.edges, workers);
    std::vector<double> ready(neighbours.size());
    for (int iteration = 0; iteration < job.updates; ++iteration) {
      std::vector<double> computed = ready;
      for (std::size_t worker = 0; worker < ready.size(); ++worker) {
        computed[worker] += compute_time(job, static_cast<int>(worker), iteration).value;
      }
      double last = 0.0;
      for (std::size_t worker = 0; worker < ready.size(); ++worker) {
        ready[worker] = computed[worker];
        for (const int other : neighbours[worker]) {
          ready[worker] = std::max(ready[worker], computed[static_cast<std::size_t>(other)]);
        }
        last = std::max(last, ready[worker]);
      }
      const Update& update = times.updates[static_cast<std::size_t>(iteration * workers)];
      RC_ASSERT(update.applied == iteration);
      RC_ASSERT(std::abs(update.time.value - last) <= 1e-6 * last);
    }
  }));
}

TEST_CASE("a worker alone computes and exchanges nothing") {
  UpdateJob job = equal_workers(1, 10_ms, 1_MB, Synchronisation::kGossip);
  job.updates = 7;
  CHECK(simulate_updates(job).total.value == Approx(0.07));
}

}  // namespace test_gossip
