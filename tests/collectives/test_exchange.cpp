#include <doctest/doctest.h>

#include "sim/base/error.hpp"
#include "sim/collectives/base/max_min.hpp"
#include "sim/collectives/exchange_counts.hpp"
#include "sim/collectives/group_table.hpp"
#include "sim/collectives/grouped.hpp"
#include "sim/collectives/plan.hpp"
#include "tests/collectives/collective_bench.hpp"

using namespace trainyard;

namespace test_exchange {

namespace {

CollectivePlan exchange(const CollectiveBench& bench, const std::string& counts, double bytes) {
  const ExchangeWeights weights = read_exchange(counts, static_cast<int>(bench.members.size()));
  const std::vector<Transfer> transfers = transfers_of(weights, bench.members, {bytes});
  return plan_collective(
      {.op = CollectiveOp::kAllToAllV, .size = {bytes}, .members = bench.members, .transfers = transfers},
      bench.cluster, bench.fabric);
}

double time_of(const CollectiveBench& bench, const std::string& counts, double bytes) {
  return uncontended_time(exchange(bench, counts, bytes), bench.fabric).value;
}

}  // namespace

TEST_CASE("an even all-to-all-v is an all-to-all, on one node and on several") {
  for (const int gpus : {2, 8, 16, 32}) {
    const CollectiveBench bench("dgx-h100", gpus);
    CHECK(time_of(bench, "even", 256e6) == doctest::Approx(bench.time(CollectiveOp::kAllToAll, 256e6)).epsilon(1e-9));
  }
}

TEST_CASE("a hot receiver makes the exchange as long as its own link takes") {
  // Everybody sends everything to rank 0: 7 of 8 buffers enter it, against 7/8 of one when even, eight times as much.
  const CollectiveBench bench("dgx-h100", 8);
  const CollectivePlan hot = exchange(bench, "1,0,0,0,0,0,0,0", 1e9);
  const CollectivePlan even = exchange(bench, "even", 1e9);
  const double hot_transfer = uncontended_time(hot, bench.fabric).value - hot.latency.value;
  const double even_transfer = uncontended_time(even, bench.fabric).value - even.latency.value;
  // The curve's mixed term grows with the root: a little below the factor of eight.
  CHECK(hot_transfer / even_transfer > 6.0);
  CHECK(hot_transfer / even_transfer <= 8.0 * (1.0 + 1e-9));
  CHECK(hot.flows.size() == 7);
}

TEST_CASE("steeper popularity never makes an exchange faster and bytes are conserved") {
  const CollectiveBench bench("dgx-h100", 32);
  double last = 0.0;
  for (const char* counts : {"zipf:0", "zipf:0.5", "zipf:1", "zipf:2"}) {
    const double time = time_of(bench, counts, 64e6);
    CHECK(time >= last);
    last = time;
  }
  // What enters the node of the receiver over the network is what the table says: shares of receivers 0 to 7, from 24
  // senders outside.
  const ExchangeWeights weights = read_exchange("zipf:1", 32);
  double popular = 0.0;
  double all = 0.0;
  for (std::size_t j = 0; j < 32; ++j) {
    popular += j < 8 ? weights[0][j] : 0.0;
    all += weights[0][j];
  }
  double entering = 0.0;
  for (const Flow& flow : exchange(bench, "zipf:1", 64e6).flows) {
    if (bench.fabric.node_of(flow.to) == 0 && bench.fabric.node_of(flow.from) != 0) {
      entering += flow.bytes.value;
    }
  }
  CHECK(entering == doctest::Approx(24.0 * 64e6 * popular / all).epsilon(1e-9));
}

TEST_CASE("counts that are none are told apart") {
  for (const char* bad : {"", "zipf", "zipf:-1", "zipf:x", "1,2", "0,0,0,0", "1,-1,1,1", "missing.csv", "evenly"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(read_exchange(bad, 4), UserError);
  }
}

TEST_CASE("calls of one operation within a factor of four are chosen for as one") {
  const CollectiveBench bench("dgx-h100", 8);
  const auto call = [&](double bytes) {
    return CollectiveRequest{.op = CollectiveOp::kAllReduce, .size = {bytes}, .members = bench.members};
  };
  // 1 and 3 MiB are one call of 4 MiB; 64 MiB is its own.
  const std::vector<CollectiveRequest> calls = {call(3 * kMiB), call(64 * kMiB), call(kMiB)};
  const GroupedPlan group = plan_group(calls, bench.cluster, bench.fabric);
  REQUIRE(group.plans.size() == 2);
  CHECK(group.calls == std::vector<int>{2, 1});
  const CollectivePlan four = bench.plan(CollectiveOp::kAllReduce, 4 * kMiB);
  CHECK(group.plans[0].algorithm == four.algorithm);
  CHECK(group.plans[0].protocol == four.protocol);
  // Together no slower than one after another, and no faster than the largest alone.
  double one_by_one = 0.0;
  for (const CollectiveRequest& one : calls) {
    one_by_one += bench.time(one.op, one.size.value);
  }
  const double together = group_time(group, bench.fabric).value;
  CHECK(together <= one_by_one);
  CHECK(together >= bench.time(CollectiveOp::kAllReduce, 64 * kMiB));
}

TEST_CASE("grouped sends to every peer are an all-to-all, and a group of one call is that call") {
  const CollectiveBench bench("dgx-h100", 8);
  std::vector<std::vector<DeviceId>> pairs;
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 8; ++j) {
      if (i != j) {
        pairs.push_back({{i}, {j}});
      }
    }
  }
  std::vector<CollectiveRequest> sends;
  for (const auto& pair : pairs) {
    sends.push_back({.op = CollectiveOp::kSendRecv, .size = {32e6}, .members = pair});
  }
  CHECK(group_time(plan_group(sends, bench.cluster, bench.fabric), bench.fabric).value ==
        doctest::Approx(bench.time(CollectiveOp::kAllToAll, 8 * 32e6)).epsilon(1e-9));
  for (const CollectiveOp op : {CollectiveOp::kAllReduce, CollectiveOp::kAllToAll, CollectiveOp::kGather}) {
    const std::vector<CollectiveRequest> one = {{.op = op, .size = {1e8}, .members = bench.members}};
    CHECK(group_time(plan_group(one, bench.cluster, bench.fabric), bench.fabric).value ==
          doctest::Approx(bench.time(op, 1e8)).epsilon(1e-12));
  }
}

TEST_CASE("many small calls of a ring pay its latency once for every round of channels") {
  // 25 calls on 24 channels of the A100's ring: two rounds.
  const CollectiveBench bench("dgx-a100", 8);
  CollectiveOptions ring = CollectiveBench::own_model("2.30");
  ring.algorithm = Algorithm::kRing;
  ring.protocol = Protocol::kSimple;
  const auto latency = [&](int calls) {
    return plan_collective({.op = CollectiveOp::kAllReduce, .size = {64e6}, .members = bench.members, .calls = calls},
                           bench.cluster, bench.fabric, ring)
        .latency.value;
  };
  CHECK(latency(24) == doctest::Approx(latency(1)));
  CHECK(latency(25) == doctest::Approx(2.0 * latency(1)));
}

TEST_CASE("a send/recv of many ranks goes once around, as nccl-tests' does") {
  // Four GPUs of a node: every one sends and receives one message, at the rate of a pair with four ranks' channels.
  const CollectiveBench four("dgx-h100", 4);
  const CollectivePlan plan = four.plan(CollectiveOp::kSendRecv, 1 * kGiB);
  REQUIRE(plan.flows.size() == 4);
  CHECK(plan.flows.back().from == DeviceId{3});
  CHECK(plan.flows.back().to == DeviceId{0});
  CollectiveOptions own = CollectiveBench::own_model("2.30");
  own.communicator = 4;
  const CollectiveBench two("dgx-h100", 2);
  CHECK(four.time(CollectiveOp::kSendRecv, 1 * kGiB, own) ==
        doctest::Approx(two.time(CollectiveOp::kSendRecv, 1 * kGiB, own)));
  // Two nodes: the messages that cross decide. A NIC carries 48.5 GB/s at most.
  const CollectiveBench sixteen("dgx-h100", 16);
  const double crossing = sixteen.time(CollectiveOp::kSendRecv, 1 * kGiB);
  CHECK(crossing > kGiB / 48.5e9);
  CHECK(crossing < 1.2 * kGiB / 48.5e9);
}

TEST_CASE("a group is parsed call by call") {
  const std::vector<GroupCall> calls = parse_group("all_reduce:1M,sendrecv:64K:0-7", 8);
  REQUIRE(calls.size() == 2);
  CHECK(calls[0].size.value == kMiB);
  CHECK(calls[1].from == 0);
  CHECK(calls[1].to == 7);
  for (const char* bad : {"", "all_reduce", "all_reduce:x", "sendrecv:1M", "all_reduce:1M:0-1", "sendrecv:1M:0-8",
                          "sendrecv:1M:0-0", "sendrecv:1M:0", "nothing:1M", "all_reduce:1M,"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(parse_group(bad, 8), UserError);
  }
}

}  // namespace test_exchange
