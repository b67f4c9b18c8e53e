#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "sim/collectives/base/path_latency.hpp"
#include "sim/collectives/base/torus_box.hpp"
#include "sim/collectives/plan.hpp"
#include "tests/collectives/collective_bench.hpp"

using namespace trainyard;

namespace test_path_latency {

namespace {

const std::vector<CollectiveOp> kOps = {
    CollectiveOp::kAllReduce, CollectiveOp::kAllGather, CollectiveOp::kReduceScatter,
    CollectiveOp::kBroadcast, CollectiveOp::kReduce,    CollectiveOp::kGather,
    CollectiveOp::kScatter,   CollectiveOp::kAllToAll,  CollectiveOp::kBarrier};

// The time on the cluster with one of its latencies replaced.
double time_with(const ClusterSpec& cluster, const std::string& pointer, const std::string& latency, CollectiveOp op,
                 double bytes, int gpus) {
  ClusterSpec changed = cluster;
  changed.document[Json::json_pointer(pointer)] = latency;
  const Fabric fabric = build_fabric(changed, gpus);
  std::vector<DeviceId> members;
  for (int d = 0; d < gpus; ++d) {
    members.push_back({d});
  }
  return uncontended_time(plan_collective({op, {bytes}, members}, changed, fabric), fabric).value;
}

}  // namespace

TEST_CASE("the paths of a DGX node and of its network on one leaf are those of the tables") {
  for (const char* name : {"dgx-a100", "dgx-h100", "dgx-b200"}) {
    const CollectiveBench bench(name, 16);
    CHECK(excess_latency({0}, {5}, bench.fabric).value == doctest::Approx(0.0));
    CHECK(excess_latency({0}, {8}, bench.fabric).value == doctest::Approx(0.0));
  }
}

TEST_CASE("longer links never make a collective faster, and what the network adds arrives") {
  CHECK(rc::check([] {
    const std::string name = *rc::gen::element<std::string>("dgx-a100", "dgx-h100", "aws-p4d", "dgx-1-v100");
    const CollectiveOp op = *rc::gen::elementOf(kOps);
    const int gpus = *rc::gen::element(16, 24, 64);
    const double bytes = static_cast<double>(*rc::gen::inRange(8, 1 << 28));
    const ClusterSpec cluster = load_cluster(name);
    double last = 0.0;
    for (const char* latency : {"0.1 us", "1 us", "5 us", "50 us", "1000 us", "20000 us"}) {
      const double time = time_with(cluster, "/node/nics/latency", latency, op, bytes, gpus);
      RC_ASSERT(time >= last);
      last = time;
    }
    // A NIC of 20 ms on either side of at least one crossing.
    RC_ASSERT(last >= 0.04);
    last = 0.0;
    for (const char* latency : {"0.1 us", "1.3 us", "10 us", "100 us"}) {
      const double time = time_with(cluster, "/node/nvlink/latency", latency, op, bytes, gpus);
      RC_ASSERT(time >= last);
      last = time;
    }
  }));
}

TEST_CASE("a ring pays every crossing, a tree its depth") {
  // 16 nodes: the ring's first byte crosses 15 of 16 edges twice; NCCL's tree over 16 nodes goes 0-8-4-2-1, so four
  // levels up and four down. A NIC that is 10 us slower adds 20 us to a crossing.
  const ClusterSpec cluster = load_cluster("dgx-h100");
  ClusterSpec slow = cluster;
  slow.document["node"]["nics"]["latency"] = "11 us";
  const Fabric near = build_fabric(cluster, 128);
  const Fabric far = build_fabric(slow, 128);
  const CollectiveBench bench("dgx-h100", 128);
  const auto added = [&](Algorithm algorithm) {
    CollectiveOptions options = CollectiveBench::own_model("2.30");
    options.algorithm = algorithm;
    const CollectiveRequest request{CollectiveOp::kAllReduce, {1e6}, bench.members};
    return plan_collective(request, slow, far, options).latency.value -
           plan_collective(request, cluster, near, options).latency.value;
  };
  CHECK(added(Algorithm::kRing) == doctest::Approx(2.0 * 15.0 * 20e-6));
  CHECK(added(Algorithm::kTree) == doctest::Approx(2.0 * 4.0 * 20e-6));
}

TEST_CASE("another switch tier adds its switches to every crossing") {
  // 33 nodes do not fit on one leaf of a unit of 32: leaf to spine to leaf is two more links of 0.2 us.
  const CollectiveBench one("dgx-h100", 256);
  const CollectiveBench two("dgx-h100", 264);
  CHECK(excess_latency({0}, {8}, one.fabric).value == doctest::Approx(0.0));
  CHECK(excess_latency({0}, {8}, two.fabric).value == doctest::Approx(0.4e-6));
}

TEST_CASE("two sites pay the way between them, and a long way limits what is under way") {
  const CollectiveBench near("dgx-h100", 64);
  const CollectiveBench sites("two-sites-h100", 64);
  // 100 km are 500 us: there and back.
  CHECK(sites.time(CollectiveOp::kAllReduce, 1024) >= near.time(CollectiveOp::kAllReduce, 1024) + 2 * 500e-6);
  // A plan over a path of 20 ms has 4 MiB of each channel under way in 40 ms.
  ClusterSpec farther = sites.cluster;
  farther.document["network"]["wan"]["latency"] = "20000 us";
  const Fabric fabric = build_fabric(farther, 64);
  const std::vector<DeviceId> pair = {{0}, {63}};
  const CollectivePlan plan = plan_collective({CollectiveOp::kSendRecv, {1e9}, pair}, farther, fabric);
  CHECK(uncontended_time(plan, fabric).value >= 1e9 / (plan.channels * 4 * kMiB) * 40e-3);
}

TEST_CASE("a group that fills a box of a torus has its sides") {
  const CollectiveBench cube("tpu-v4-pod", 64);
  CHECK(torus_box(cube.members, cube.fabric).sides == std::vector<std::int32_t>{4, 4, 4});
  CHECK(torus_box(cube.members, cube.fabric).links() == 6);
  CHECK(torus_box(cube.members, cube.fabric).hops() == 9);
  // One plane of it, and what is no box.
  CHECK(torus_box(std::span(cube.members).first(16), cube.fabric).sides == std::vector<std::int32_t>{4, 4});
  CHECK(torus_box(std::span(cube.members).first(7), cube.fabric).sides.empty());
  const CollectiveBench switched("dgx-h100", 8);
  CHECK(torus_box(switched.members, switched.fabric).sides.empty());
}

}  // namespace test_path_latency
