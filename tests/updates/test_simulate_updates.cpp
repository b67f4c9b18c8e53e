#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>

#include "sim/updates/simulate_updates.hpp"
#include "tests/updates/update_jobs.hpp"

using namespace trainyard;

namespace test_simulate_updates {

namespace {

using doctest::Approx;

// Workers, servers, slowdowns, jitter and NICs at random; the mode is the caller's.
UpdateJob random_job(Synchronisation mode) {
  const int workers = *rc::gen::inRange(1, 9);
  UpdateJob job = equal_workers(workers, {*rc::gen::inRange(1, 50) * 1e-3}, {*rc::gen::inRange(1, 100) * 1e6}, mode);
  for (Worker& worker : job.workers) {
    worker.slowdown = *rc::gen::inRange(10, 40) / 10.0;
    worker.nic.latency = {*rc::gen::inRange(0, 100) * 1e-6};
  }
  add_dedicated_servers(job, *rc::gen::inRange(1, 4));
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
    job.servers.push_back({.worker = *rc::gen::inRange(0, workers)});
  }
  job.updates = *rc::gen::inRange(1, 30);
  job.jitter = *rc::gen::inRange(0, 5) / 10.0;
  job.seed = *rc::gen::arbitrary<std::uint64_t>();
  return job;
}

}  // namespace

TEST_CASE("a step through one server that the network binds takes all its bytes each way, whatever the job") {
  CHECK(rc::check([] {
    const int workers = *rc::gen::inRange(1, 20);
    const double bytes = *rc::gen::inRange(1, 200) * 1e6;
    UpdateJob job = equal_workers(workers, {}, {bytes}, Synchronisation::kSynchronous);
    add_dedicated_servers(job, 1);
    job.updates = *rc::gen::inRange(1, 6);
    const double bound = job.updates * 2.0 * workers * bytes / kTenGigabit.bandwidth.value;
    RC_ASSERT(std::abs(simulate_updates(job).total.value - bound) <= 1e-9 * bound);
  }));
}

TEST_CASE("W servers beside W workers take a ring's time and move its bytes, whatever the job") {
  CHECK(rc::check([] {
    const int workers = *rc::gen::inRange(2, 10);
    UpdateJob job = equal_workers(workers, {*rc::gen::inRange(0, 50) * 1e-3}, {*rc::gen::inRange(1, 200) * 1e6},
                                  Synchronisation::kSynchronous);
    add_server_at_every_worker(job);
    job.updates = *rc::gen::inRange(1, 6);
    const UpdateTimes by_servers = simulate_updates(job);
    job.mode = Synchronisation::kAllReduce;
    const UpdateTimes by_ring = simulate_updates(job);
    RC_ASSERT(std::abs((by_servers.total - by_ring.total).value) <= 1e-9 * by_ring.total.value);
    for (std::size_t node = 0; node < job.workers.size(); ++node) {
      RC_ASSERT(std::abs((by_servers.sent[node] - by_ring.sent[node]).value) <= 1e-9 * by_ring.sent[node].value);
    }
  }));
}

TEST_CASE("workers of mixed speed step as fast as the slowest of them") {
  CHECK(rc::check([] {
    UpdateJob job = equal_workers(*rc::gen::inRange(1, 10), 10_ms, 1_B,
                                  *rc::gen::element(Synchronisation::kSynchronous, Synchronisation::kAllReduce));
    add_dedicated_servers(job, 1);
    job.updates = *rc::gen::inRange(1, 10);
    UpdateJob slow = job;
    double slowest = 1.0;
    for (Worker& worker : job.workers) {
      worker.slowdown = *rc::gen::inRange(10, 50) / 10.0;
      slowest = std::max(slowest, worker.slowdown);
    }
    for (Worker& worker : slow.workers) {
      worker.slowdown = slowest;
    }
    RC_ASSERT(std::abs((simulate_updates(job).total - simulate_updates(slow).total).value) <= 1e-6);
  }));
}

TEST_CASE("equal asynchronous workers have a mean staleness of W - 1, whatever the job") {
  CHECK(rc::check([] {
    const int workers = *rc::gen::inRange(1, 12);
    UpdateJob job = equal_workers(workers, {*rc::gen::inRange(1, 50) * 1e-3}, {*rc::gen::inRange(1, 100) * 1e6},
                                  Synchronisation::kAsynchronous);
    add_dedicated_servers(job, *rc::gen::inRange(1, 4));
    job.updates = 100;
    RC_ASSERT(std::abs(mean_staleness(simulate_updates(job)) - (workers - 1)) <= 0.02 * workers);
  }));
}

TEST_CASE("one server that the network binds moves all pushes in and all pulls out of its NIC") {
  // Of 8 workers 100 MB each way through 1.25 GB/s, three steps, nothing computed: 3 x 2 x 8 x 0.08 s.
  UpdateJob job = equal_workers(8, {}, 100_MB, Synchronisation::kSynchronous);
  add_dedicated_servers(job, 1);
  job.updates = 3;
  const UpdateTimes times = simulate_updates(job);
  CHECK(times.total.value == Approx(3 * 2 * 8 * 0.08).epsilon(1e-9));
  CHECK(times.versions == 3);
  CHECK(times.updates.size() == 24);
  // Each direction of the NIC is busy half of the time.
  CHECK(times.server_use.front() == Approx(0.5).epsilon(1e-9));
}

TEST_CASE("asynchronous pushes and pulls use both directions of the server's NIC at once") {
  // At best one gradient every 100 MB / 1.25 GB/s = 80 ms: half the time of the synchronous steps. Before the first
  // push is through nothing is pulled, which 200 rounds spread.
  UpdateJob job = equal_workers(8, 10_ms, 100_MB, Synchronisation::kAsynchronous);
  add_dedicated_servers(job, 1);
  job.updates = 200;
  job.jitter = 0.3;
  const UpdateTimes times = simulate_updates(job);
  CHECK(times.total.value >= 1600 * 0.08);
  CHECK(times.server_use.front() > 0.85);
}

TEST_CASE("synchronous servers beside every worker move the bytes of a ring all-reduce") {
  for (const int workers : {2, 3, 8}) {
    UpdateJob servers = equal_workers(workers, 5_ms, 100_MB, Synchronisation::kSynchronous);
    add_server_at_every_worker(servers);
    servers.updates = 4;
    UpdateJob ring = servers;
    ring.mode = Synchronisation::kAllReduce;
    const UpdateTimes by_servers = simulate_updates(servers);
    const UpdateTimes by_ring = simulate_updates(ring);
    for (std::size_t node = 0; node < servers.workers.size(); ++node) {
      const double bytes = 4 * 2.0 * (workers - 1) / workers * 100e6;
      CHECK(by_servers.sent[node].value == Approx(bytes).epsilon(1e-9));
      CHECK(by_servers.received[node].value == Approx(bytes).epsilon(1e-9));
      CHECK(by_ring.sent[node].value == Approx(bytes).epsilon(1e-9));
    }
    CHECK(by_servers.total.value == Approx(by_ring.total.value).epsilon(1e-9));
  }
}

TEST_CASE("equal asynchronous workers have a mean staleness of W - 1") {
  // Between two updates of one worker each other one makes one. The first of worker i finds i others': what is missing
  // to W - 1 in the first round is (W - 1) / 2 on average.
  for (const int workers : {1, 2, 7, 16}) {
    UpdateJob job = equal_workers(workers, 20_ms, 1_MB, Synchronisation::kAsynchronous);
    add_dedicated_servers(job, 2);
    job.updates = 100;
    const UpdateTimes times = simulate_updates(job);
    CHECK(times.updates.size() == static_cast<std::size_t>(100 * workers));
    CHECK(mean_staleness(times) == Approx((workers - 1) * (1.0 - 0.5 / 100)).epsilon(0.01));
  }
}

TEST_CASE("where computing binds, asynchronous workers add up their rates") {
  // 1 + 1/2 + 1/4 iterations in 100 ms.
  UpdateJob job = equal_workers(3, 100_ms, 1000_B, Synchronisation::kAsynchronous);
  job.workers[1].slowdown = 2.0;
  job.workers[2].slowdown = 4.0;
  add_dedicated_servers(job, 1);
  job.updates = 700;
  CHECK(simulate_updates(job).updates_per_second() == Approx(17.5).epsilon(0.01));
}

TEST_CASE("synchronous steps take the time of the slowest worker") {
  UpdateJob job = equal_workers(5, 10_ms, 10_MB, Synchronisation::kSynchronous);
  add_dedicated_servers(job, 5);
  job.updates = 10;
  job.workers[3].slowdown = 2.5;
  UpdateJob all_slow = job;
  for (Worker& worker : all_slow.workers) {
    worker.slowdown = 2.5;
  }
  // The slow one pushes alone: 10 MB at 1.25 GB/s take 8 ms whether the others' 40 MB went before or at the same time
  // to five servers.
  CHECK(simulate_updates(job).total.value == Approx(10 * (0.025 + 0.008 + 0.008)).epsilon(1e-9));
  CHECK(simulate_updates(all_slow).total.value == Approx(10 * (0.025 + 0.008 + 0.008)).epsilon(1e-9));
}

TEST_CASE("backup workers drop the slowest") {
  // Workers of 10, 11, 12, 20 and 40 ms; two are backup: a step takes the third, 12 ms, and gradients of the other two
  // never count. Bytes are next to nothing.
  UpdateJob job = equal_workers(5, 10_ms, 1_B, Synchronisation::kBackupWorkers);
  const std::vector<double> slowdowns = {4.0, 1.0, 1.1, 2.0, 1.2};
  for (std::size_t worker = 0; worker < 5; ++worker) {
    job.workers[worker].slowdown = slowdowns[worker];
  }
  add_dedicated_servers(job, 1);
  job.backup = 2;
  job.updates = 50;
  const UpdateTimes times = simulate_updates(job);
  CHECK(times.total.value == Approx(50 * 0.012).epsilon(1e-4));
  CHECK(times.updates.size() == 150);
  CHECK(std::none_of(times.updates.begin(), times.updates.end(),
                     [](const Update& update) { return update.worker == 0 || update.worker == 3; }));
  // In 600 ms the two finish 15 and 30 iterations, and each the one that it is at when the last step is over.
  CHECK(times.dropped >= 45);
  CHECK(times.dropped <= 47);
}

TEST_CASE("without backup workers none is dropped: the same as synchronous") {
  CHECK(rc::check([] {
    UpdateJob job = random_job(Synchronisation::kSynchronous);
    const UpdateTimes synchronous = simulate_updates(job);
    job.mode = Synchronisation::kBackupWorkers;
    const UpdateTimes backup = simulate_updates(job);
    RC_ASSERT(backup.total == synchronous.total);
    RC_ASSERT(backup.dropped == 0);
    RC_ASSERT(mean_staleness(synchronous) == 0.0);
  }));
}

TEST_CASE("nobody gets further ahead of the slowest than the bound") {
  CHECK(rc::check([] {
    UpdateJob job = random_job(Synchronisation::kStaleSynchronous);
    job.bound = *rc::gen::inRange(0, 5);
    const UpdateTimes times = simulate_updates(job);
    // Who began an iteration at most `bound` ahead is one further when it ends.
    std::vector<int> clocks(job.workers.size());
    for (const Update& update : times.updates) {
      ++clocks[static_cast<std::size_t>(update.worker)];
      const auto [least, most] = std::minmax_element(clocks.begin(), clocks.end());
      RC_ASSERT(*most - *least <= job.bound + 1);
      // Others' iterations since it read: from `bound` behind to `bound` ahead of it (Ho et al. 2013, section 3).
      RC_ASSERT(update.staleness() <= (2 * job.bound + 1) * (static_cast<int>(job.workers.size()) - 1));
    }
    RC_ASSERT(times.updates.size() == job.workers.size() * static_cast<std::size_t>(job.updates));
  }));
}

TEST_CASE("a bound that nobody meets is asynchronous") {
  CHECK(rc::check([] {
    UpdateJob job = random_job(Synchronisation::kAsynchronous);
    const UpdateTimes free = simulate_updates(job);
    job.mode = Synchronisation::kStaleSynchronous;
    job.bound = 1000;
    RC_ASSERT(simulate_updates(job).total == free.total);
  }));
}

TEST_CASE("an all-reduce after every local step is a synchronous step, at the closed form") {
  // Slowest worker 30 ms; ring 2 x 3/4 x 100 MB / 1.25 GB/s and 6 messages of 50 us.
  UpdateJob job = equal_workers(4, 10_ms, 100_MB, Synchronisation::kLocalSteps);
  for (Worker& worker : job.workers) {
    worker.nic.latency = 50_us;
  }
  job.workers[2].slowdown = 3.0;
  job.updates = 12;
  UpdateJob every_step = job;
  every_step.mode = Synchronisation::kAllReduce;
  CHECK(simulate_updates(job).total.value == Approx(12 * (0.030 + 0.12 + 0.0003)).epsilon(1e-9));
  CHECK(simulate_updates(job).total == simulate_updates(every_step).total);
  // Of five local steps each: three rings, the last after two steps.
  job.local_steps = 5;
  const UpdateTimes local = simulate_updates(job);
  CHECK(local.total.value == Approx(12 * 0.030 + 3 * (0.12 + 0.0003)).epsilon(1e-9));
  CHECK(local.versions == 3);
}

TEST_CASE("servers that are alike on nodes of their own are simulated as one, to the same times") {
  CHECK(rc::check([] {
    UpdateJob job = random_job(*rc::gen::element(Synchronisation::kSynchronous, Synchronisation::kAsynchronous));
    job.jitter += 0.1;  // who of two comes first at the same time would be a matter of rounding
    UpdateJob apart = job;
    // A latency that is below every worker's changes nothing, and makes every server a class of its own.
    for (Worker& worker : apart.workers) {
      worker.nic.latency = 200_us;
    }
    job.workers = apart.workers;
    for (std::size_t s = 0; s < apart.servers.size(); ++s) {
      apart.servers[s].nic.latency = {static_cast<double>(s) * 1e-6};
    }
    const UpdateTimes together = simulate_updates(job);
    const UpdateTimes each = simulate_updates(apart);
    RC_ASSERT(std::abs(together.total.value - each.total.value) <= 1e-9 * each.total.value);
    RC_ASSERT(together.updates.size() == each.updates.size());
  }));
}

TEST_CASE("times of a worker add up, and histograms hold every update") {
  CHECK(rc::check([] {
    UpdateJob job = random_job(*rc::gen::element(Synchronisation::kSynchronous, Synchronisation::kAsynchronous,
                                                 Synchronisation::kStaleSynchronous, Synchronisation::kAllReduce,
                                                 Synchronisation::kPostLocal, Synchronisation::kGossip));
    job.edges = edges_of(GraphKind::kRing, static_cast<int>(job.workers.size()));
    const UpdateTimes times = simulate_updates(job);
    for (const WorkerTimes& worker : times.workers) {
      const Seconds sum = worker.computing + worker.transferring + worker.waiting;
      RC_ASSERT(std::abs(sum.value - times.total.value) <= 1e-9 * times.total.value);
    }
    int counted = 0;
    for (const std::vector<int>& of_worker : staleness_histograms(times)) {
      for (const int count : of_worker) {
        counted += count;
      }
    }
    RC_ASSERT(counted == static_cast<int>(times.updates.size()));
    int all = 0;
    for (const int count : staleness_histogram(times)) {
      all += count;
    }
    RC_ASSERT(all == counted);
  }));
}

}  // namespace test_simulate_updates
