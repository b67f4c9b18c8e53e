#include <doctest/doctest.h>

#include "sim/collectives/algorithms/table.hpp"
#include "sim/collectives/base/double_tree.hpp"
#include "sim/collectives/base/max_min.hpp"
#include "sim/collectives/steps.hpp"
#include "tests/collectives/collective_bench.hpp"

using namespace trainyard;

namespace test_steps {

namespace {

// The fluid form of a forced algorithm with nothing but the links in its way.
double fluid_transfer(const CollectiveBench& bench, CollectiveOp op, double size, Algorithm algorithm) {
  CollectiveOptions options = CollectiveBench::own_model("2.30");
  options.algorithm = algorithm;
  options.protocol = Protocol::kSimple;
  CollectivePlan plan = bench.plan(op, size, options);
  plan.latency = {};
  for (Flow& flow : plan.flows) {
    flow.rate_limit = {};
  }
  const Seconds links = uncontended_time(plan, bench.fabric);
  // A plan of trees lasts as long as its busiest node.
  return algorithm == Algorithm::kTree
             ? max(links, busiest_node_time(plan.flows, bench.members.size(), bench.fabric)).value
             : links.value;
}

double bytes_sent(const std::vector<Round>& rounds) {
  double sum = 0.0;
  for (const Round& round : rounds) {
    for (const StepFlow& step : round) {
      sum += step.bytes.value;
    }
  }
  return sum;
}

}  // namespace

TEST_CASE("a fluid ring and its rounds agree within 3 %") {
  for (const char* name : {"dgx-a100", "dgx-h100"}) {
    for (const int gpus : {2, 4, 8}) {
      const CollectiveBench bench(name, gpus);
      for (const CollectiveOp op : {CollectiveOp::kAllReduce, CollectiveOp::kAllGather, CollectiveOp::kReduceScatter,
                                    CollectiveOp::kBroadcast}) {
        const double steps = steps_time(ring_steps(op, {1e9}, bench.members, bench.fabric), bench.fabric, {}).value;
        CHECK(fluid_transfer(bench, op, 1e9, Algorithm::kRing) == doctest::Approx(steps).epsilon(0.03));
      }
    }
  }
  // One member a node: the network's rounds.
  const CollectiveBench bench("ethernet-100g-roce", 12);
  const double steps =
      steps_time(ring_steps(CollectiveOp::kAllReduce, {1e9}, bench.members, bench.fabric), bench.fabric, {}).value;
  CHECK(fluid_transfer(bench, CollectiveOp::kAllReduce, 1e9, Algorithm::kRing) == doctest::Approx(steps).epsilon(0.03));
}

TEST_CASE("a fluid tree and its rounds agree within 3 %") {
  // With one member a node the busiest is inner in one tree with two children and leaf in the other: half of the
  // payload up and twice half down, and half up, 2 payloads in all, where the mean member sends 2 (n-1)/n.
  for (const int n : {8, 16, 64, 128}) {
    const CollectiveBench bench("ethernet-100g-roce", n);
    const double steps =
        steps_time(tree_steps(CollectiveOp::kAllReduce, {1e9}, bench.members, bench.fabric), bench.fabric, {}).value;
    CAPTURE(n);
    CHECK(fluid_transfer(bench, CollectiveOp::kAllReduce, 1e9, Algorithm::kTree) ==
          doctest::Approx(steps).epsilon(0.03));
  }
}

TEST_CASE("the busiest node of the double tree sends two payloads, and no node of a pair more than the other") {
  CHECK(busiest_over_mean(1) == 1.0);
  CHECK(busiest_over_mean(2) == 1.0);
  for (const std::size_t n : {4U, 8U, 13U, 100U, 101U}) {
    CAPTURE(n);
    CHECK(busiest_over_mean(n) == doctest::Approx(static_cast<double>(n) / static_cast<double>(n - 1)));
  }
}

TEST_CASE("a torus ring uses both dimensions both ways, in its rounds and as a fluid") {
  // 4 x 4 with four links of 45 GB/s a device: 2 * 15/16 of the payload over 180 GB/s, where one ring has 45.
  const CollectiveBench bench("tpu-v5e-pod", 16);
  const double closed = 2.0 * 15.0 / 16.0 * 1e9 / 180e9;
  CHECK(steps_time(torus_ring_steps(CollectiveOp::kAllReduce, {1e9}, bench.members, bench.fabric), bench.fabric, {})
            .value == doctest::Approx(closed).epsilon(0.03));
  CHECK(fluid_transfer(bench, CollectiveOp::kAllReduce, 1e9, Algorithm::kRing) ==
        doctest::Approx(closed).epsilon(0.03));
  // 4 x 4 x 4: six links.
  const CollectiveBench cube("tpu-v4-pod", 64);
  CHECK(fluid_transfer(cube, CollectiveOp::kAllReduce, 1e9, Algorithm::kRing) ==
        doctest::Approx(2.0 * 63.0 / 64.0 * 1e9 / 270e9).epsilon(0.03));
}

TEST_CASE("every expansion sends the bytes of its closed form") {
  const CollectiveBench bench("dgx-h100", 16);
  const double n = 16.0;
  const auto sent = [&](ExpandSteps expand, CollectiveOp op) {
    return bytes_sent(expand(op, {1.0}, bench.members, bench.fabric));
  };
  // Bandwidth-optimal algorithms send 2 (n-1) payloads in all for all-reduce, n - 1 for its halves.
  for (const ExpandSteps expand : {ExpandSteps(ring_steps), ExpandSteps(halving_doubling_steps)}) {
    CHECK(sent(expand, CollectiveOp::kAllReduce) == doctest::Approx(2.0 * (n - 1.0)));
    CHECK(sent(expand, CollectiveOp::kAllGather) == doctest::Approx(n - 1.0));
    CHECK(sent(expand, CollectiveOp::kReduceScatter) == doctest::Approx(n - 1.0));
  }
  CHECK(sent(torus_ring_steps, CollectiveOp::kAllReduce) == doctest::Approx(2.0 * (n - 1.0)));
  CHECK(sent(hierarchical_steps, CollectiveOp::kAllReduce) == doctest::Approx(2.0 * (n - 1.0)));
  CHECK(sent(tree_steps, CollectiveOp::kAllReduce) == doctest::Approx(2.0 * (n - 1.0)));
  // log2(16) = 4 rounds of everybody's payload; one shot sends it to all others.
  CHECK(sent(recursive_doubling_steps, CollectiveOp::kAllReduce) == doctest::Approx(4.0 * n));
  CHECK(sent(direct_steps, CollectiveOp::kAllReduce) == doctest::Approx(n * (n - 1.0)));
  // All-to-all sends n (n-1) blocks of 1/n pairwise and n/2 log2(n) blocks a member by Bruck.
  CHECK(sent(pairwise_steps, CollectiveOp::kAllToAll) == doctest::Approx(n - 1.0));
  CHECK(sent(bruck_steps, CollectiveOp::kAllToAll) == doctest::Approx(n * 4.0 * (n / 2.0) / n));
  CHECK(sent(bruck_steps, CollectiveOp::kAllGather) == doctest::Approx(n - 1.0));
}

TEST_CASE("the number of rounds is that of the literature") {
  const CollectiveBench bench("dgx-h100", 16);
  const auto rounds = [&](ExpandSteps expand, CollectiveOp op) {
    return expand(op, {1.0}, bench.members, bench.fabric).size();
  };
  CHECK(rounds(ring_steps, CollectiveOp::kAllReduce) == 30);
  CHECK(rounds(halving_doubling_steps, CollectiveOp::kAllReduce) == 8);
  CHECK(rounds(recursive_doubling_steps, CollectiveOp::kAllReduce) == 4);
  CHECK(rounds(bruck_steps, CollectiveOp::kAllGather) == 4);
  CHECK(rounds(pairwise_steps, CollectiveOp::kAllToAll) == 15);
  CHECK(rounds(direct_steps, CollectiveOp::kAllReduce) == 1);
  CHECK(rounds(torus_ring_steps, CollectiveOp::kAllReduce) == 12);  // 4 x 4: 2 (3 + 3)
}

TEST_CASE("the hierarchical algorithm on one node is the flat ring") {
  const CollectiveBench bench("dgx-a100", 8);
  const auto time = [&](ExpandSteps expand) {
    return steps_time(expand(CollectiveOp::kAllReduce, {1e9}, bench.members, bench.fabric), bench.fabric, {1e-6}).value;
  };
  CHECK(time(hierarchical_steps) == doctest::Approx(time(ring_steps)).epsilon(1e-12));
}

TEST_CASE("groups that are no power of two fold first") {
  const CollectiveBench bench("dgx-h100", 6);
  // 6 = 4 + 2: a round in, 2 + 2 rounds among four, a round out.
  CHECK(halving_doubling_steps(CollectiveOp::kAllReduce, {1.0}, bench.members, bench.fabric).size() == 6);
}

}  // namespace test_steps
