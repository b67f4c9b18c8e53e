#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <numeric>

#include "sim/base/error.hpp"
#include "sim/updates/pushed.hpp"
#include "sim/updates/shards.hpp"
#include "tests/updates/update_jobs.hpp"

using namespace trainyard;

namespace test_pushed {

namespace {

using doctest::Approx;

UpdateJob job_of(Synchronisation mode, Compression compression, int workers = 4) {
  UpdateJob job = equal_workers(workers, 10_ms, 100_MB, mode);
  add_dedicated_servers(job, 1);
  job.updates = 5;
  job.compression = compression;
  return job;
}

}  // namespace

TEST_CASE("compression that keeps everything and costs nothing is none, in every mode that has it") {
  CHECK(rc::check([] {
    const Synchronisation mode = *rc::gen::elementOf(
        std::vector{Synchronisation::kSynchronous, Synchronisation::kAsynchronous, Synchronisation::kAllReduce,
                    Synchronisation::kLocalSteps, Synchronisation::kDiloco, Synchronisation::kFederated});
    UpdateJob job = job_of(mode, {.compressor = Compressor::kRandomK, .kept = 1.0}, *rc::gen::inRange(1, 8));
    job.local_steps = *rc::gen::inRange(1, 4);
    job.jitter = 0.2;
    UpdateJob plain = job;
    plain.compression = {};
    RC_ASSERT(simulate_updates(job).total == simulate_updates(plain).total);
    RC_ASSERT(simulate_updates(job).sent == simulate_updates(plain).sent);
  }));
}

TEST_CASE("what may be added up goes round a ring, other messages to everybody") {
  // Of four workers and 100 MB: fp16 2 x 3/4 x 50 MB, top-k of 1 % 3 x 2 MB, each at 1.25 GB/s.
  CHECK(simulate_updates(job_of(Synchronisation::kAllReduce, {.compressor = Compressor::kFp16})).total.value ==
        Approx(5 * (0.01 + 0.06)));
  CHECK(simulate_updates(job_of(Synchronisation::kAllReduce, {.compressor = Compressor::kTopK})).total.value ==
        Approx(5 * (0.01 + 0.0048)));
  // A push in half the bytes and a pull of all: (200 + 400) MB through the server.
  CHECK(simulate_updates(job_of(Synchronisation::kSynchronous, {.compressor = Compressor::kBf16})).total.value ==
        Approx(5 * (0.01 + 0.16 + 0.32)));
}

TEST_CASE("encoding delays the push, and every message of the others is decoded") {
  UpdateJob job = job_of(Synchronisation::kAllReduce, {.compressor = Compressor::kTopK});
  job.message = {.encode = 2_ms, .decode = 1_ms};
  CHECK(simulate_updates(job).total.value == Approx(5 * (0.01 + 0.002 + 0.0048 + 4 * 0.001)));
  job.compression = {.compressor = Compressor::kFp16};
  CHECK(simulate_updates(job).total.value == Approx(5 * (0.01 + 0.002 + 0.06 + 0.001)));
}

TEST_CASE("PowerSGD has two rings of latencies") {
  UpdateJob job = job_of(Synchronisation::kAllReduce, {.compressor = Compressor::kPowerSgd, .rank = 1});
  for (Worker& worker : job.workers) {
    worker.nic.latency = 1_ms;
  }
  // 25 M values are 5,000 x 5,000: 40 kB, next to nothing.
  CHECK(simulate_updates(job).total.value == Approx(5 * (0.01 + 2 * 6 * 0.001 + 1.5 * 40e3 / 1.25e9)));
}

TEST_CASE("1-bit Adam moves everything while it warms up") {
  UpdateJob job = job_of(Synchronisation::kAllReduce, {.compressor = Compressor::kOneBitAdam, .warm_up = 3});
  job.compression.feedback = ErrorFeedback::kPresent;
  CHECK(simulate_updates(job).total.value == Approx(3 * (0.01 + 0.12) + 2 * (0.01 + 0.12 / 32)).epsilon(1e-6));
}

TEST_CASE("modes that cannot move what a compressor makes refuse it") {
  const auto is_refused = [](UpdateJob job) {
    job.edges = edges_of(GraphKind::kRing, 4);
    try {
      check(job);
    } catch (const UserError& error) {
      CHECK(error.fault().file == "--compress");
      return true;
    }
    return false;
  };
  CHECK(is_refused(job_of(Synchronisation::kSynchronous, {.compressor = Compressor::kPowerSgd})));
  CHECK(is_refused(job_of(Synchronisation::kFederated, {.compressor = Compressor::kPowerSgd})));
  CHECK(is_refused(job_of(Synchronisation::kGossip, {.compressor = Compressor::kTopK})));
  CHECK(is_refused(job_of(Synchronisation::kLocalSteps, {.compressor = Compressor::kOneBitAdam})));
  CHECK_FALSE(is_refused(job_of(Synchronisation::kLocalSteps, {.compressor = Compressor::kPowerSgd})));
  CHECK_FALSE(is_refused(job_of(Synchronisation::kAllReduce, {.compressor = Compressor::kOneBitAdam})));
}

TEST_CASE("layers are cut evenly, given to the emptiest server or to that of their hash") {
  UpdateJob job = equal_workers(2, 10_ms, 100_MB, Synchronisation::kSynchronous);
  add_dedicated_servers(job, 2);
  job.layers = {{.share = 0.1, .ready = 0.4}, {.share = 0.6, .ready = 0.6}, {.share = 0.3, .ready = 1.0}};
  CHECK(largest_shard(job) == Approx(0.5));
  job.sharding = Sharding::kBySize;
  CHECK(shards_of(job)[0] == std::vector<double>{0.0, 0.6, 0.0});
  CHECK(shards_of(job)[1] == std::vector<double>{0.1, 0.0, 0.3});
  CHECK(rc::check([] {
    UpdateJob random = equal_workers(1, 1_ms, 1_MB, Synchronisation::kSynchronous);
    add_dedicated_servers(random, *rc::gen::inRange(1, 6));
    random.layers.assign(*rc::gen::inRange<std::size_t>(1, 20), {});
    for (PushedLayer& layer : random.layers) {
      layer.share = 1.0 / static_cast<double>(random.layers.size());
    }
    for (const Sharding sharding : {Sharding::kEven, Sharding::kBySize, Sharding::kByHash}) {
      random.sharding = sharding;
      double sum = 0.0;
      for (const std::vector<double>& shard : shards_of(random)) {
        sum += std::accumulate(shard.begin(), shard.end(), 0.0);
      }
      RC_ASSERT(std::abs(sum - 1.0) < 1e-9);
    }
  }));
}

TEST_CASE("the server that keeps most binds a step") {
  // Two workers move 2 x 60 MB through the first server's NIC each way, 40 MB through the other's.
  UpdateJob job = equal_workers(2, 10_ms, 100_MB, Synchronisation::kSynchronous);
  add_dedicated_servers(job, 2);
  job.layers = {{.share = 0.6, .ready = 0.5}, {.share = 0.4, .ready = 1.0}};
  job.sharding = Sharding::kBySize;
  job.updates = 4;
  const UpdateTimes times = simulate_updates(job);
  CHECK(times.total.value == Approx(4 * (0.01 + 2 * 0.096)));
  CHECK(times.server_use[0] / times.server_use[1] == Approx(1.5));
}

TEST_CASE("layers that are pushed when they are made hide behind the rest of the backward pass") {
  // One worker, 100 ms, 12.5 MB at 1.25 GB/s: 10 ms a half. The first half is through before the second is made.
  UpdateJob job = equal_workers(1, 100_ms, 25_MB, Synchronisation::kAsynchronous);
  add_dedicated_servers(job, 1);
  job.layers = {{.share = 0.5, .ready = 0.6}, {.share = 0.5, .ready = 1.0}};
  job.updates = 3;
  CHECK(simulate_updates(job).total.value == Approx(3 * (0.1 + 0.02 + 0.02)));
  job.push_unit = PushUnit::kPerLayer;
  CHECK(simulate_updates(job).total.value == Approx(3 * (0.1 + 0.01 + 0.02)));
  // Where the network binds the second waits for the first: 60 ms, and 125 MB more take 100 ms each half.
  job.parameters = 250_MB;
  CHECK(simulate_updates(job).total.value == Approx(3 * (0.06 + 0.2 + 0.2)));
}

TEST_CASE("synchronous layers are pulled while others are still being made") {
  // As above; the first half is pulled from 70 to 80 ms, the second pushed from 100 and pulled from 110 ms.
  UpdateJob job = equal_workers(1, 100_ms, 25_MB, Synchronisation::kSynchronous);
  add_dedicated_servers(job, 1);
  job.layers = {{.share = 0.5, .ready = 0.6}, {.share = 0.5, .ready = 1.0}};
  job.updates = 3;
  job.push_unit = PushUnit::kPerLayer;
  const UpdateTimes times = simulate_updates(job);
  CHECK(times.total.value == Approx(3 * 0.12));
  CHECK(times.versions == 3);
  CHECK(times.updates[2].time.value == Approx(2 * 0.12 + 0.11));
  CHECK(times.workers[0].transferring.value == Approx(3 * 0.02));
  // A sum and a step of half of it take 2 x 3 x 12.5 MB at 5 GB/s = 15 ms: before the pull of each.
  job.server_memory = {5e9};
  CHECK(simulate_updates(job).total.value == Approx(3 * (0.12 + 0.015)));
  // Two workers, the second twice as slow, and a server beside each: all wait for its layers.
  job.server_memory = {1e18};
  job.workers.push_back({.compute = 100_ms, .slowdown = 2.0, .nic = kTenGigabit});
  job.servers = {{.worker = 0}, {.worker = 1}};
  // Of each layer 6.25 MB go to each server. The slow worker's last push shares its NIC with what its own server, which
  // has all it needs, sends the other: 10 ms; what it pulls takes 5 ms.
  CHECK(simulate_updates(job).total.value == Approx(3 * (0.2 + 0.01 + 0.005)));
}

TEST_CASE("a mode that is not synchronous may push by layer too") {
  for (const Synchronisation mode :
       {Synchronisation::kBackupWorkers, Synchronisation::kAsynchronous, Synchronisation::kStaleSynchronous}) {
    UpdateJob job = equal_workers(4, 100_ms, 25_MB, mode);
    add_dedicated_servers(job, 2);
    job.layers = {{.share = 0.5, .ready = 0.6}, {.share = 0.5, .ready = 1.0}};
    job.backup = 1;
    job.bound = 1;
    job.jitter = 0.3;
    job.updates = 20;
    const UpdateTimes whole = simulate_updates(job);
    job.push_unit = PushUnit::kPerLayer;
    const UpdateTimes by_layer = simulate_updates(job);
    CHECK(by_layer.updates.size() == whole.updates.size());
    CHECK(by_layer.total < whole.total);
  }
}

TEST_CASE("pushed by layer is never slower than whole, and moves the same bytes") {
  CHECK(rc::check([] {
    UpdateJob job = equal_workers(*rc::gen::inRange(1, 6), {*rc::gen::inRange(1, 50) * 1e-3},
                                  {*rc::gen::inRange(1, 100) * 1e6}, Synchronisation::kSynchronous);
    add_dedicated_servers(job, *rc::gen::inRange(1, 4));
    job.updates = *rc::gen::inRange(1, 6);
    const int layers = *rc::gen::inRange(1, 8);
    for (int layer = 0; layer < layers; ++layer) {
      job.layers.push_back({.share = 1.0 / layers, .ready = (1.0 + layer) / layers});
    }
    job.sharding = *rc::gen::element(Sharding::kEven, Sharding::kBySize, Sharding::kByHash);
    const UpdateTimes whole = simulate_updates(job);
    job.push_unit = PushUnit::kPerLayer;
    const UpdateTimes by_layer = simulate_updates(job);
    RC_ASSERT(by_layer.total.value <= whole.total.value * (1.0 + 1e-9));
    for (std::size_t node = 0; node < whole.sent.size(); ++node) {
      RC_ASSERT(std::abs(by_layer.sent[node].value - whole.sent[node].value) <= 1e-9 * (1.0 + whole.sent[node].value));
    }
  }));
}

TEST_CASE("a server adds up and applies at its memory's pace, one gradient after another") {
  // 100 MB: a sum takes 3 x 100 MB and a step of SGD as much, at 10 GB/s 30 ms each. Pushes of two workers end
  // together.
  UpdateJob job = equal_workers(2, 10_ms, 100_MB, Synchronisation::kSynchronous);
  add_dedicated_servers(job, 1);
  job.server_memory = {10e9};
  job.updates = 3;
  CHECK(simulate_updates(job).total.value == Approx(3 * (0.01 + 0.16 + 2 * 0.03 + 0.03 + 0.16)));
  // Of two servers each does half of it.
  add_dedicated_servers(job, 1);
  CHECK(simulate_updates(job).total.value == Approx(3 * (0.01 + 0.08 + 0.045 + 0.08)));
  // Asynchronous gradients are applied at once: at best one in 30 ms, where the network would take half of that.
  job.mode = Synchronisation::kAsynchronous;
  job.server_memory = {5e9};
  job.updates = 200;
  job.workers.assign(8, job.workers.front());
  const UpdateTimes times = simulate_updates(job);
  CHECK(times.updates_per_second() < 1.0 / 0.03 * (1.0 + 1e-9));
  // A gradient of a backup worker that comes too late is not added.
  job.mode = Synchronisation::kBackupWorkers;
  job.backup = 3;
  job.jitter = 0.4;
  const UpdateTimes backup = simulate_updates(job);
  CHECK(backup.updates.size() == 5 * 200);
  CHECK(mean_staleness(backup) == 0.0);
}

TEST_CASE("layers that are not all parameters, or come out of order, are refused") {
  UpdateJob job = equal_workers(2, 10_ms, 100_MB, Synchronisation::kAllReduce);
  const auto is_taken = [&](std::vector<PushedLayer> layers) {
    job.layers = std::move(layers);
    try {
      check(job);
    } catch (const UserError&) {
      return false;
    }
    return true;
  };
  CHECK(is_taken({{.share = 0.5, .ready = 0.5}, {.share = 0.5, .ready = 1.0}}));
  CHECK_FALSE(is_taken({{.share = 0.5, .ready = 0.5}, {.share = 0.4, .ready = 1.0}}));
  CHECK_FALSE(is_taken({{.share = 0.5, .ready = 0.7}, {.share = 0.5, .ready = 0.6}}));
  CHECK_FALSE(is_taken({{.share = 1.0, .ready = 0.6}}));
}

}  // namespace test_pushed
