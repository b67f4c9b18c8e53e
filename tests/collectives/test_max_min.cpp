#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "sim/collectives/base/max_min.hpp"
#include "sim/collectives/plan.hpp"
#include "tests/collectives/collective_bench.hpp"

using namespace trainyard;

namespace test_max_min {

namespace {

Flow flow_on(const Fabric& fabric, int from, int to, double bytes, double limit = 0.0) {
  return {.from = {from}, .to = {to}, .route = fabric.route({from}, {to}), .bytes = {bytes}, .rate_limit = {limit}};
}

}  // namespace

TEST_CASE("flows on one link get equal shares and a slow one leaves the rest") {
  const Fabric fabric = build_fabric(load_cluster("ethernet-100g-roce"), 4);
  // All leave GPU 0, whose NIC carries 12.5 GB/s at 94 %: a third each, or 1 GB/s for the limited one and half of the
  // rest.
  const double nic = 12.5e9 * 0.94;
  const std::vector<Flow> equal = {flow_on(fabric, 0, 1, 1e9), flow_on(fabric, 0, 2, 1e9), flow_on(fabric, 0, 3, 1e9)};
  for (const BytesPerSecond rate : max_min_rates(equal, fabric)) {
    CHECK(rate.value == doctest::Approx(nic / 3.0));
  }
  const std::vector<Flow> limited = {flow_on(fabric, 0, 1, 1e9, 1e9), flow_on(fabric, 0, 2, 1e9),
                                     flow_on(fabric, 0, 3, 1e9)};
  CHECK(max_min_rates(limited, fabric)[0].value == doctest::Approx(1e9));
  CHECK(max_min_rates(limited, fabric)[1].value == doctest::Approx((nic - 1e9) / 2.0));
}

TEST_CASE("a flow speeds up when its rival ends") {
  const Fabric fabric = build_fabric(load_cluster("ethernet-100g-roce"), 3);
  const double nic = 12.5e9 * 0.94;
  // One byte count and its triple share the NIC: the short one ends after 2 b / nic, the long one needs 4 b / nic.
  const std::vector<Flow> flows = {flow_on(fabric, 0, 1, 1e9), flow_on(fabric, 0, 2, 3e9)};
  const std::vector<Seconds> ends = flow_ends(flows, fabric);
  CHECK(ends[0].value == doctest::Approx(2e9 / nic));
  CHECK(ends[1].value == doctest::Approx(4e9 / nic));
}

TEST_CASE("two groups on an oversubscribed spine each get what the physics leaves") {
  // Four leaves of 32 GPUs, uplinks of a quarter of the NICs. Each group sends all-to-all between two leaves.
  const CollectiveBench bench("leaf-spine-4to1-h100", 64);
  const auto group = [&](int first) {
    std::vector<DeviceId> members;
    for (int i = 0; i < 16; ++i) {
      members.push_back({first + i});
      members.push_back({32 + first + i});
    }
    return members;
  };
  const std::vector<DeviceId> a = group(0);
  const std::vector<DeviceId> b = group(16);
  const CollectivePlan plan_a = plan_collective({CollectiveOp::kAllToAll, {1e9}, a}, bench.cluster, bench.fabric);
  const CollectivePlan plan_b = plan_collective({CollectiveOp::kAllToAll, {1e9}, b}, bench.cluster, bench.fabric);
  const double alone = uncontended_time(plan_a, bench.fabric).value;
  const std::vector<CollectivePlan> both = {plan_a, plan_b};
  const std::vector<Seconds> together = concurrent_times(both, bench.fabric);
  CHECK(together[0].value == doctest::Approx(together[1].value));
  // Bytes over the uplink of a leaf: 16 members of each group send half of their 1 GB to the other leaf, over
  // 32 NICs / 4. Both groups at once load it with 16 GB x (16 / 32) x 2.
  const double uplink = 32 * 50e9 * 0.97 / 4.0;
  CHECK(together[0].value - plan_a.latency.value >= 2 * 16 * 0.5e9 / uplink * 0.999);
  CHECK(together[0].value > alone);
}

TEST_CASE("groups that share nothing do not notice each other") {
  const CollectiveBench bench("dgx-a100", 16);
  const CollectivePlan first = plan_collective({CollectiveOp::kAllReduce, {1e9}, std::span(bench.members).first(8)},
                                               bench.cluster, bench.fabric);
  const CollectivePlan second =
      plan_collective({CollectiveOp::kAllReduce, {1e9}, std::span(bench.members).last(8)}, bench.cluster, bench.fabric);
  const std::vector<CollectivePlan> both = {first, second};
  CHECK(concurrent_times(both, bench.fabric)[0].value ==
        doctest::Approx(uncontended_time(first, bench.fabric).value).epsilon(1e-9));
}

TEST_CASE("max-min rates fill a link of every flow or its limit, and overfill none") {
  const Fabric fabric = build_fabric(load_cluster("leaf-spine-4to1-h100"), 64);
  CHECK(rc::check([&] {
    const int count = *rc::gen::inRange(1, 40);
    std::vector<Flow> flows;
    for (int i = 0; i < count; ++i) {
      const int from = *rc::gen::inRange(0, 64);
      const int to = (from + *rc::gen::inRange(1, 64)) % 64;
      flows.push_back(flow_on(fabric, from, to, 1e6, *rc::gen::element(0.0, 1e9, 2e10)));
    }
    const std::vector<BytesPerSecond> rates = max_min_rates(flows, fabric);
    std::vector<double> load(fabric.links().size());
    for (std::size_t f = 0; f < flows.size(); ++f) {
      for (const LinkId id : flows[f].route) {
        load[id.index()] += rates[f].value;
      }
    }
    for (std::size_t f = 0; f < flows.size(); ++f) {
      bool held = flows[f].rate_limit.value > 0.0 && rates[f].value >= flows[f].rate_limit.value * (1.0 - 1e-9);
      for (const LinkId id : flows[f].route) {
        const double capacity = fabric.link(id).bandwidth.value;
        RC_ASSERT(load[id.index()] <= capacity * (1.0 + 1e-9));
        held = held || load[id.index()] >= capacity * (1.0 - 1e-9);
      }
      RC_ASSERT(held);
    }
  }));
}

}  // namespace test_max_min
