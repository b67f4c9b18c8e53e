#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <numeric>
#include <set>

#include "sim/base/error.hpp"
#include "sim/updates/data_sizes.hpp"
#include "sim/updates/secure_aggregation.hpp"
#include "tests/updates/update_jobs.hpp"

using namespace trainyard;

namespace test_federated {

using doctest::Approx;

namespace {

UpdateJob federation(int clients, double share) {
  UpdateJob job = equal_workers(clients, 10_ms, 100_MB, Synchronisation::kFederated);
  add_dedicated_servers(job, 1);
  job.federation.share = share;
  return job;
}

}  // namespace

TEST_CASE("all clients and one local step are a synchronous step, in the time of one") {
  CHECK(rc::check([] {
    UpdateJob job = federation(*rc::gen::inRange(1, 10), 1.0);
    for (Worker& worker : job.workers) {
      worker.slowdown = *rc::gen::inRange(10, 40) / 10.0;
      worker.nic.latency = 50_us;
    }
    job.updates = *rc::gen::inRange(1, 20);
    const UpdateTimes federated = simulate_updates(job);
    job.mode = Synchronisation::kSynchronous;
    const UpdateTimes synchronous = simulate_updates(job);
    RC_ASSERT(std::abs(federated.total.value - synchronous.total.value) <= 1e-9 * synchronous.total.value);
    RC_ASSERT(federated.updates.size() == synchronous.updates.size());
    RC_ASSERT(std::abs((federated.sent.back() - synchronous.sent.back()).value) <= 1.0);
  }));
}

TEST_CASE("equal servers of a federation are one of all their NICs") {
  // 4 x 100 MB through two NICs of 1.25 GB/s each way; a sum takes 3 x 50 MB at 10 GB/s for each client.
  UpdateJob job = federation(4, 1.0);
  add_dedicated_servers(job, 1);
  for (Worker& worker : job.workers) {
    worker.nic.bandwidth = {1e12};
  }
  job.server_memory = {10e9};
  const UpdateTimes times = simulate_updates(job);
  CHECK(times.total.value == Approx(0.16 + 0.01 + 0.16 + 4 * 0.015));
  CHECK(times.sent[4].value == Approx(200e6));
  CHECK(times.received[5].value == Approx(200e6));
  CHECK(times.server_use.size() == 2);
}

TEST_CASE("a round draws its share of the clients, each once, and others in the next") {
  UpdateJob job = federation(40, 0.25);
  job.updates = 60;
  job.local_steps = 3;
  const UpdateTimes times = simulate_updates(job);
  CHECK(times.versions == 20);
  CHECK(times.updates.size() == 200);
  std::set<int> all;
  for (std::size_t round = 0; round < 20; ++round) {
    std::set<int> of_round;
    for (std::size_t u = 0; u < 10; ++u) {
      const Update& update = times.updates[10 * round + u];
      CHECK(update.applied == static_cast<int>(round));
      CHECK(update.steps == 3);
      of_round.insert(update.worker);
    }
    CHECK(of_round.size() == 10);
    all.insert(of_round.begin(), of_round.end());
  }
  // A client is in none of 20 rounds with a chance of 0.75^20 = 0.3 %.
  CHECK(all.size() >= 38);
  // 10 pulls and 10 pushes through one NIC of 1.25 GB/s, and three steps between them.
  CHECK(times.total.value == Approx(20 * (0.8 + 0.03 + 0.8)).epsilon(1e-9));
}

TEST_CASE("clients that drop out have pulled, and push nothing") {
  UpdateJob job = federation(100, 1.0);
  job.federation.dropout = 0.3;
  job.updates = 50;
  const UpdateTimes times = simulate_updates(job);
  // 30 % of 5,000, whose standard deviation is 32.
  CHECK(times.dropped > 1500 - 150);
  CHECK(times.dropped < 1500 + 150);
  CHECK(times.updates.size() + static_cast<std::size_t>(times.dropped) == 5000);
  CHECK(times.sent.back().value == Approx(5000 * 100e6));
  CHECK(times.received.back().value == Approx(static_cast<double>(times.updates.size()) * 100e6));
}

TEST_CASE("a client of more data makes more steps and weighs more") {
  UpdateJob job = federation(3, 1.0);
  job.federation.data = {1.0, 2.0, 6.0};
  job.local_steps = 6;
  job.updates = 6;
  const UpdateTimes times = simulate_updates(job);
  REQUIRE(times.updates.size() == 3);
  // Of a mean of 3 samples 6 steps.
  CHECK(times.updates[0].steps == 2);
  CHECK(times.updates[1].steps == 4);
  CHECK(times.updates[2].steps == 12);
  CHECK(times.updates[2].weight == 6.0);
}

TEST_CASE("the slowest way to the server binds a round where the server's does not") {
  // 100 MB at 10 MB/s each way, beside two of 100 MB/s.
  UpdateJob job = federation(3, 1.0);
  for (Worker& worker : job.workers) {
    worker.nic.bandwidth = {100e6};
  }
  job.workers[1].nic.bandwidth = {10e6};
  CHECK(simulate_updates(job).total.value == Approx(10.0 + 0.01 + 10.0));
}

TEST_CASE("secure aggregation costs keys, shares and masks as its paper counts them") {
  // n = 100: 2n keys and 5n - 4 shares of 32 bytes and the vector of 39 bits a value, sent and received by a client.
  const SecureCosts costs = secure_costs({.clients = 100, .dropped = 10, .values = 1e6});
  CHECK((costs.sent + costs.received).value == Approx(32.0 * (200 + 496) + 1e6 * 39 / 8));
  CHECK(costs.client_masks.value == Approx(100 * 1e6 * 39 / 8));
  // 90 own masks, and 10 x 90 of pairs of which one dropped out.
  CHECK(costs.server_masks.value == Approx((90 + 900) * 1e6 * 39 / 8));
}

TEST_CASE(
    "a secured round takes three round trips more, a mask for each client and the unmasking of those that drop out") {
  // Four clients of 25 M values of 34 bits: 106.25 MB, each mask 0.10625 s at 1 GB/s; keys and shares are next to
  // nothing.
  UpdateJob job = federation(4, 1.0);
  for (Worker& worker : job.workers) {
    worker.nic.latency = 20_ms;
  }
  job.federation.mask_rate = BytesPerSecond{1e9};
  const double vector = 106.25e6;
  const double keys = 2.0 * 3 * 64;
  const double shares = 64 + 6 * 32 + 4 * 32;
  const double pull = 0.02 + 4 * (100e6 + keys) / 1.25e9;
  const double push = 0.02 + 4 * (vector + shares) / 1.25e9;
  const UpdateTimes times = simulate_updates(job);
  CHECK(times.total.value == Approx(3 * 0.04 + pull + 0.01 + 4 * vector / 1e9 + push + 4 * vector / 1e9));
  CHECK(times.sent[0].value == Approx(vector + shares));
  // Each that drops out has the server make a mask for every one that is left.
  job.federation.dropout = 0.5;
  job.workers.assign(40, job.workers.front());
  const UpdateTimes dropped = simulate_updates(job);
  job.federation.mask_rate = BytesPerSecond{2e9};
  const UpdateTimes faster = simulate_updates(job);
  const double left = static_cast<double>(dropped.updates.size());
  const double masks = (40 + left + left * (40 - left)) * 25e6 * 38 / 8;
  CHECK((dropped.total - faster.total).value == Approx(masks / 1e9 - masks / 2e9));
}

TEST_CASE("sizes of data have the stated distribution") {
  for (const auto& [name, sizes] : kDataSizesNames.rows) {
    const std::vector<double> drawn = draw_data_sizes(sizes, 4000, 7);
    CAPTURE(name);
    // Of a deviation of the mean at most, 4,000 draws are within 1.6 %; five times that.
    CHECK(std::accumulate(drawn.begin(), drawn.end(), 0.0) / 4000.0 == Approx(1.0).epsilon(0.08));
    CHECK(*std::min_element(drawn.begin(), drawn.end()) > 0.0);
    CHECK(drawn == draw_data_sizes(sizes, 4000, 7));
  }
  const std::vector<double> zipf = draw_data_sizes(DataSizes::kZipf, 100, 1);
  const double largest = *std::max_element(zipf.begin(), zipf.end());
  CHECK(largest / *std::min_element(zipf.begin(), zipf.end()) == Approx(100.0));
}

}  // namespace test_federated
