// What a faster link does. NCCL chooses by constants of its own, blind to this fabric's paths and to other
// communicators, so a faster link can make it choose what then takes longer; nothing else may.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>

#include "sim/collectives/collective_table.hpp"
#include "sim/collectives/plan.hpp"
#include "tests/collectives/collective_bench.hpp"

namespace trainyard::test_doubled_rates {
namespace {

constexpr std::array<const char*, 4> kRates = {"nics", "nvlink", "pcie", "cpus"};

// The cluster with the rate of one kind of link doubled; as it is where it has none of that kind.
ClusterSpec doubled(const std::string& name, const char* link, double factor = 2.0) {
  Json document = load_cluster(name).document;
  Json& node = document["node"];
  if (node.contains(link) && node[link].contains("bandwidth")) {
    const std::string text = node[link]["bandwidth"].get<std::string>();
    const std::size_t space = text.find(' ');
    node[link]["bandwidth"] = fmt::format("{} {}", std::stod(text.substr(0, space)) * factor, text.substr(space + 1));
  }
  return read_cluster(JsonReader(document, name), name);
}

}  // namespace

TEST_CASE("with every rate doubled the tuner expects no more, and a forced algorithm takes no longer") {
  for (const char* name : {"dgx-2h", "azure-nd40rs-v2", "juwels-booster", "dgx-h100", "gcp-a3-high", "pcie-a100-8"}) {
    const ClusterSpec cluster = load_cluster(name);
    for (const char* rate : kRates) {
      const ClusterSpec faster = doubled(name, rate);
      for (const int gpus : {cluster.gpus_per_node, cluster.gpus_per_node + 2, 4 * cluster.gpus_per_node}) {
        for (const CollectiveOp op : {CollectiveOp::kAllReduce, CollectiveOp::kAllGather}) {
          const std::vector<Bytes> sizes = parse_sizes("32K:512M");
          const CollectiveSweep before = collective_sweep(op, cluster, gpus, sizes, {}, Candidates::kAll);
          const CollectiveSweep after = collective_sweep(op, faster, gpus, sizes, {}, Candidates::kAll);
          REQUIRE(before.rows.size() == after.rows.size());
          for (std::size_t i = 0; i < before.rows.size(); ++i) {
            const SweepRow& was = before.rows[i];
            const SweepRow& is = after.rows[i];
            CAPTURE(name);
            CAPTURE(rate);
            CAPTURE(gpus);
            CAPTURE(was.size.value);
            CAPTURE(name_of(was.algorithm));
            CAPTURE(name_of(was.protocol));
            CHECK(is.tuner->value <= was.tuner->value * (1.0 + 1e-9));
            // Max-min sharing is not monotone: a flow that got faster may take what another needs of a third link.
            CHECK(is.time.value <= was.time.value * 1.005);
          }
        }
      }
    }
  }
}

TEST_CASE("the chosen algorithm is the one that the tuner expects least of, not the one that takes least") {
  // Four GPUs on two nodes of 100 Gb/s Ethernet over TCP. At 200 Gb/s the tuner expects less of ring LL than of PAT,
  // whose constants know nothing of TCP's path; the ring crosses it more often and takes longer than PAT did.
  const std::vector<Bytes> size = parse_sizes("256K");
  for (const double factor : {1.0, 2.0}) {
    const ClusterSpec cluster = doubled("ethernet-100g-tcp", "nics", factor);
    const CollectiveSweep sweep = collective_sweep(CollectiveOp::kAllGather, cluster, 4, size, {}, Candidates::kAll);
    const SweepRow* chosen = nullptr;
    for (const SweepRow& row : sweep.rows) {
      chosen = row.chosen ? &row : chosen;
    }
    REQUIRE(chosen != nullptr);
    CHECK(chosen->algorithm == (factor > 1.0 ? Algorithm::kRing : Algorithm::kPat));
    bool faster_was_left = false;
    for (const SweepRow& row : sweep.rows) {
      CHECK(*chosen->tuner <= *row.tuner);
      faster_was_left = faster_was_left || row.time < chosen->time;
    }
    CHECK(faster_was_left == (factor > 1.0));
  }
}

TEST_CASE("a NIC faster than its PCIe slot changes nothing that NCCL chooses") {
  // GPUs 12, 14 and 16 of two DGX-2H. NCCL counts 12 GB/s on PCIe 3.0 x16, which a NIC of 100 Gb/s already fills.
  CollectiveRequest request{.op = CollectiveOp::kAllReduce, .size = {1.158e9}};
  const std::vector<DeviceId> members = {{12}, {14}, {16}};
  request.members = members;
  for (const double factor : {1.0, 2.0, 8.0}) {
    const ClusterSpec cluster = doubled("dgx-2h", "nics", factor);
    const CollectiveEstimate chosen = estimate_collective(request, cluster, build_fabric(cluster, 18), {});
    CHECK(chosen.algorithm == Algorithm::kTree);
    CHECK(chosen.protocol == Protocol::kSimple);
    // Two nodes: half of the smaller of 92 % of the channel inside the node and 18.5 GB/s. Source: tuning.cc.
    CHECK(chosen.transfer.value == doctest::Approx(1.158e9 / 9.25e9));
  }
}

TEST_CASE("a NIC below the slowest speed of NCCL's list leaves one channel, as fast as the NIC") {
  const ClusterSpec cluster = doubled("dgx-h100", "nics", 1e-4);  // 0.04 Gb/s
  const CollectiveSweep sweep = collective_sweep(CollectiveOp::kAllReduce, cluster, 16, parse_sizes("64M"));
  // A ring or tree of two nodes passes at least the payload over eight NICs of 5 MB/s.
  CHECK(sweep.rows.front().time.value > 67108864.0 / (8 * 5e6));
}

}  // namespace trainyard::test_doubled_rates
