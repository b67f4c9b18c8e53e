#include <doctest/doctest.h>

#include "sim/collectives/base/channel_search.hpp"
#include "sim/collectives/plan.hpp"
#include "sim/collectives/tuner.hpp"
#include "tests/collectives/collective_bench.hpp"

using namespace trainyard;

namespace test_tuner {

namespace {

struct Golden {
  double size;
  Algorithm algorithm;
  Protocol protocol;
  double microseconds;
};

void check_golden(const CollectiveBench& bench, CollectiveOp op, const std::vector<Golden>& rows) {
  for (const Golden& row : rows) {
    const CollectiveEstimate estimate = estimate_collective({op, {row.size}, bench.members}, bench.cluster,
                                                            bench.fabric, CollectiveBench::own_model("2.30"));
    CAPTURE(row.size);
    CHECK(estimate.algorithm == row.algorithm);
    CHECK(estimate.protocol == row.protocol);
    // The golden values are printed to whole microseconds, and know nothing of the paths of the fabric.
    CHECK((estimate.latency + estimate.transfer).value * 1e6 ==
          doctest::Approx(row.microseconds).epsilon(0.6 / row.microseconds));
  }
}

}  // namespace

// Golden vectors: NCCL 2.30's tuning arithmetic evaluated independently of this code (a script on the constants of
// src/graph/tuning.cc). By hand for the first row: ring LL base 6.6 us + 14 hops of 0.6 us = 15.0 us, and 2 KiB over
// 87.7 * 8 / 14 = 50.1 GB/s adds 0.04 us.
TEST_CASE("eight A100 choose what NCCL chooses for all-reduce") {
  check_golden(CollectiveBench("dgx-a100", 8), CollectiveOp::kAllReduce,
               {{2 * kKiB, Algorithm::kRing, Protocol::kLl, 15},
                {256 * kKiB, Algorithm::kRing, Protocol::kLl, 20},
                {kMiB, Algorithm::kRing, Protocol::kLl, 36},
                {2 * kMiB, Algorithm::kRing, Protocol::kLl, 57},
                {8 * kMiB, Algorithm::kRing, Protocol::kLl128, 107},
                {16 * kMiB, Algorithm::kRing, Protocol::kLl128, 174},
                {64 * kMiB, Algorithm::kRing, Protocol::kSimple, 545},
                {512 * kMiB, Algorithm::kRing, Protocol::kSimple, 3971}});
}

TEST_CASE("eight H100 switch from LL to NVLS between 1 and 2 MiB") {
  check_golden(CollectiveBench("dgx-h100", 8), CollectiveOp::kAllReduce,
               {{2 * kKiB, Algorithm::kRing, Protocol::kLl, 15},
                {256 * kKiB, Algorithm::kRing, Protocol::kLl, 18},
                {kMiB, Algorithm::kRing, Protocol::kLl, 28},
                {2 * kMiB, Algorithm::kNvls, Protocol::kSimple, 33},
                {8 * kMiB, Algorithm::kNvls, Protocol::kSimple, 56},
                {16 * kMiB, Algorithm::kNvls, Protocol::kSimple, 87},
                {64 * kMiB, Algorithm::kNvls, Protocol::kSimple, 272},
                {512 * kMiB, Algorithm::kNvls, Protocol::kSimple, 1999}});
}

TEST_CASE("all-gather and reduce-scatter on eight H100 stay on the ring") {
  const CollectiveBench bench("dgx-h100", 8);
  const std::vector<Golden> rows{
      {2 * kKiB, Algorithm::kRing, Protocol::kLl, 11},       {256 * kKiB, Algorithm::kRing, Protocol::kLl, 12},
      {kMiB, Algorithm::kRing, Protocol::kLl, 17},           {2 * kMiB, Algorithm::kRing, Protocol::kLl, 24},
      {8 * kMiB, Algorithm::kRing, Protocol::kLl128, 49},    {16 * kMiB, Algorithm::kRing, Protocol::kLl128, 72},
      {64 * kMiB, Algorithm::kRing, Protocol::kSimple, 195}, {512 * kMiB, Algorithm::kRing, Protocol::kSimple, 1337}};
  check_golden(bench, CollectiveOp::kAllGather, rows);
  check_golden(bench, CollectiveOp::kReduceScatter, rows);
}

TEST_CASE("eight B200 choose what NCCL chooses") {
  const CollectiveBench bench("dgx-b200", 8);
  check_golden(bench, CollectiveOp::kAllReduce,
               {{2 * kKiB, Algorithm::kRing, Protocol::kLl, 15},
                {256 * kKiB, Algorithm::kRing, Protocol::kLl, 17},
                {kMiB, Algorithm::kRing, Protocol::kLl, 22},
                {2 * kMiB, Algorithm::kRing, Protocol::kLl, 28},
                {8 * kMiB, Algorithm::kNvls, Protocol::kSimple, 43},
                {16 * kMiB, Algorithm::kNvls, Protocol::kSimple, 60},
                {64 * kMiB, Algorithm::kNvls, Protocol::kSimple, 167},
                {512 * kMiB, Algorithm::kNvls, Protocol::kSimple, 1159}});
  check_golden(bench, CollectiveOp::kAllGather,
               {{8 * kMiB, Algorithm::kRing, Protocol::kLl, 37},
                {64 * kMiB, Algorithm::kRing, Protocol::kSimple, 114},
                {512 * kMiB, Algorithm::kRing, Protocol::kSimple, 685}});
}

TEST_CASE("several H100 nodes go through tree, NVLS tree and ring as NCCL does") {
  check_golden(CollectiveBench("dgx-h100", 16), CollectiveOp::kAllReduce,
               {{kKiB, Algorithm::kTree, Protocol::kLl, 25},
                {kMiB, Algorithm::kTree, Protocol::kLl128, 60},
                {8 * kMiB, Algorithm::kNvlsTree, Protocol::kSimple, 101},
                {64 * kMiB, Algorithm::kNvlsTree, Protocol::kSimple, 339},
                {256 * kMiB, Algorithm::kNvlsTree, Protocol::kSimple, 1157},
                {kGiB, Algorithm::kNvlsTree, Protocol::kSimple, 4428}});
  check_golden(CollectiveBench("dgx-h100", 128), CollectiveOp::kAllReduce,
               {{kKiB, Algorithm::kTree, Protocol::kLl, 55},
                {kMiB, Algorithm::kTree, Protocol::kLl128, 115},
                {8 * kMiB, Algorithm::kTree, Protocol::kLl128, 180},
                {64 * kMiB, Algorithm::kNvlsTree, Protocol::kSimple, 558},
                {256 * kMiB, Algorithm::kNvlsTree, Protocol::kSimple, 1656},
                {kGiB, Algorithm::kNvlsTree, Protocol::kSimple, 6046}});
  check_golden(CollectiveBench("dgx-h100", 4096), CollectiveOp::kAllReduce,
               {{kKiB, Algorithm::kTree, Protocol::kLl, 105},
                {64 * kMiB, Algorithm::kNvlsTree, Protocol::kSimple, 770},
                {kGiB, Algorithm::kNvlsTree, Protocol::kSimple, 6299}});
}

TEST_CASE("the linear ring makes large all-gathers latency-bound") {
  // Golden bus bandwidths: 223 GB/s at 256 MiB and 316 GB/s at 1 GiB on 16 nodes, 210 us at 1 MiB.
  const CollectiveBench bench("dgx-h100", 128);
  const double factor = 127.0 / 128.0;
  const CollectiveOptions options = CollectiveBench::own_model("2.30");
  CHECK(bench.time(CollectiveOp::kAllGather, kMiB, options) * 1e6 == doctest::Approx(210).epsilon(0.003));
  CHECK(256 * kMiB * factor / bench.time(CollectiveOp::kAllGather, 256 * kMiB, options) / 1e9 ==
        doctest::Approx(223).epsilon(0.003));
}

TEST_CASE("the graph search finds the channels of NCCL's logs") {
  struct Row {
    const char* cluster;
    int gpus;
    int channels;
    double speed;
    int executed;
  };
  // 12 x 20, 8 x 24, 12 x 30, 8 x 48 and 16 x 45 GB/s; twice as many thread blocks run.
  for (const Row& row : {Row{"dgx-a100", 8, 12, 20, 24}, Row{"dgx-a100", 16, 8, 24, 16}, Row{"dgx-h100", 8, 12, 30, 24},
                         Row{"dgx-h100", 16, 8, 48, 16}, Row{"dgx-b200", 8, 16, 45, 32}}) {
    const CollectiveBench bench(row.cluster, row.gpus);
    const ChannelGraphs graphs =
        search_channels(group_members(bench.members, bench.fabric), bench.cluster, bench.fabric,
                        collective_profile(bench.cluster.collective_profile, "", ""));
    CAPTURE(row.cluster);
    CHECK(graphs.ring.channels == row.channels);
    CHECK(graphs.ring.intra == doctest::Approx(row.speed));
    CHECK(graphs.ring_executed == row.executed);
  }
}

TEST_CASE("a hybrid cube mesh has as many rings as its links allow") {
  // NVLink rings (each way counts) among the first n GPUs of a DGX-1 with V100, from the published bus bandwidths of
  // 22.5, 45, 85, 37, 45.7, 87 and 134 GB/s over about 22 GB/s a ring.
  const int rings[] = {1, 2, 4, 2, 2, 4, 6};
  for (int n = 2; n <= 8; ++n) {
    const CollectiveBench bench("dgx-1-v100", n);
    const ChannelGraphs graphs =
        search_channels(group_members(bench.members, bench.fabric), bench.cluster, bench.fabric,
                        collective_profile(bench.cluster.collective_profile, "", ""));
    CAPTURE(n);
    CHECK(graphs.ring.channels == rings[n - 2]);
    CHECK(graphs.nvlink);
  }
}

TEST_CASE("NVLS starts at five H200 and at six B200 with NCCL 2.27") {
  // Source: nccl-tests runs in stas00/ml-engineering: a sweep over the number of GPUs of one node at 8 GiB.
  for (const auto& [cluster, first] : {std::pair{"dgx-h200", 5}, std::pair{"dgx-b200", 6}}) {
    for (int n = 2; n <= 8; ++n) {
      const CollectiveBench bench(cluster, n);
      CAPTURE(n);
      CHECK((bench.plan(CollectiveOp::kAllReduce, 8 * kGiB, CollectiveBench::own_model("2.27")).algorithm ==
             Algorithm::kNvls) == (n >= first));
    }
  }
}

TEST_CASE("small messages run on fewer channels") {
  // Ring Simple on 8 ranks: 512 threads of 64 bytes each, so 32 KiB a channel.
  CHECK(filled_channels(24, Protocol::kSimple, 64.0, {32.0 * 1024}) == 1);
  CHECK(filled_channels(24, Protocol::kSimple, 64.0, {4 * 32.0 * 1024}) == 4);
  CHECK(filled_channels(24, Protocol::kSimple, 64.0, {1e9}) == 24);
  // LL on a ring of 8: 8 bytes for each member.
  CHECK(filled_channels(24, Protocol::kLl, 64.0, {4 * 32.0 * 1024}) == 4);
  // NVLS keeps its channels, whatever the size.
  CollectiveOptions nvls = CollectiveBench::own_model("2.30");
  nvls.algorithm = Algorithm::kNvls;
  CHECK(CollectiveBench("dgx-h100", 8).plan(CollectiveOp::kAllReduce, kKiB, nvls).channels == 16);
}

TEST_CASE("switches that reduce let NVLS go beyond a node at the node's own rate") {
  // NCCL's model: 8 x min(40 * 0.85 * 7/8 * 2, 48) = 384 GB/s of bus bandwidth, above the 364 of the NVLS tree.
  const CollectiveBench bench("dgx-h100-sharp", 64);
  const CollectiveOptions options = CollectiveBench::own_model("2.30");
  CHECK(bench.plan(CollectiveOp::kAllReduce, 4 * kGiB, options).algorithm == Algorithm::kNvls);
  const double bus = 4 * kGiB * 2.0 * 63.0 / 64.0 / bench.time(CollectiveOp::kAllReduce, 4 * kGiB, options) / 1e9;
  CHECK(bus == doctest::Approx(384).epsilon(0.01));
  CHECK(bench.plan(CollectiveOp::kAllReduce, kKiB, options).algorithm != Algorithm::kNvlsTree);
}

TEST_CASE("one GPU a node gathers by PAT from the version that has it") {
  std::vector<DeviceId> members;
  const CollectiveBench bench("dgx-h100", 512);
  for (int node = 0; node < 64; ++node) {
    members.push_back({node * 8});
  }
  const CollectiveRequest request{CollectiveOp::kAllGather, {kMiB}, members};
  const auto algorithm = [&](const char* version) {
    return plan_collective(request, bench.cluster, bench.fabric, CollectiveBench::own_model(version)).algorithm;
  };
  CHECK(algorithm("2.18") == Algorithm::kRing);
  CHECK(algorithm("2.30") == Algorithm::kPat);
}

TEST_CASE("two nodes behind one NIC each run rings under NCCL 2.5 and trees since") {
  const CollectiveBench bench("v100-edr", 16);
  const auto algorithm = [&](const char* version) {
    return bench.plan(CollectiveOp::kAllReduce, kGiB, CollectiveBench::own_model(version)).algorithm;
  };
  CHECK(algorithm("2.5") == Algorithm::kRing);
  CHECK(algorithm("2.18") == Algorithm::kTree);
}

TEST_CASE("forcing fewer channels slows a collective in proportion") {
  const CollectiveBench bench("dgx-a100", 8);
  CollectiveOptions options = CollectiveBench::own_model("2.30");
  const CollectivePlan free = bench.plan(CollectiveOp::kAllReduce, kGiB, options);
  options.channels = free.channels / 4;
  const CollectivePlan held = bench.plan(CollectiveOp::kAllReduce, kGiB, options);
  CHECK(uncontended_time(held, bench.fabric).value - held.latency.value ==
        doctest::Approx(4.0 * (uncontended_time(free, bench.fabric).value - free.latency.value)));
}

}  // namespace test_tuner
