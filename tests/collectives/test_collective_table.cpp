#include <doctest/doctest.h>

#include "sim/base/error.hpp"
#include "sim/collectives/collective_table.hpp"

using namespace trainyard;

namespace test_collective_table {

TEST_CASE("sizes double from the first to the last") {
  CHECK(parse_sizes("8:16G").size() == 32);  // 2^3 to 2^34
  CHECK(parse_sizes("1M").front().value == 1048576.0);
  CHECK(parse_sizes("1M:3M").size() == 2);
  for (const char* bad : {"", "x", "8:", ":8", "-8", "0", "nan", "1e30", "8:4", "8Q", "999999999T"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(parse_sizes(bad), UserError);
  }
}

TEST_CASE("bus bandwidth follows nccl-tests' factors") {
  CHECK(bus_factor(CollectiveOp::kAllReduce, 8) == 1.75);
  CHECK(bus_factor(CollectiveOp::kAllGather, 8) == 0.875);
  CHECK(bus_factor(CollectiveOp::kBroadcast, 8) == 1.0);
}

TEST_CASE("a sweep has a row for each size, and with all candidates exactly one chosen a size") {
  const ClusterSpec cluster = load_cluster("dgx-h100");
  const CollectiveSweep sweep = collective_sweep(CollectiveOp::kAllReduce, cluster, 64, parse_sizes("8:16G"));
  REQUIRE(sweep.rows.size() == 32);
  for (std::size_t i = 1; i < sweep.rows.size(); ++i) {
    CHECK(sweep.rows[i].time >= sweep.rows[i - 1].time);
  }
  CHECK(sweep.json["results"].size() == 32);
  const CollectiveSweep all =
      collective_sweep(CollectiveOp::kAllReduce, cluster, 8, parse_sizes("1M:4M"), {}, Candidates::kAll);
  int chosen = 0;
  for (const SweepRow& row : all.rows) {
    chosen += row.chosen ? 1 : 0;
  }
  CHECK(chosen == 3);
  // Ring and tree with three protocols each, and NVLS, for each of three sizes.
  CHECK(all.rows.size() == 21);
  const std::string svg = draw_sweep(all);
  CHECK(svg.starts_with("<svg"));
  CHECK(svg.find("<polyline") != std::string::npos);
}

TEST_CASE("forced algorithm, protocol and channels are used") {
  CollectiveOptions options;
  options.algorithm = Algorithm::kRing;
  options.protocol = Protocol::kLl128;
  options.channels = 4;
  const CollectiveSweep sweep =
      collective_sweep(CollectiveOp::kAllGather, load_cluster("dgx-a100"), 8, parse_sizes("1M"), options);
  CHECK(sweep.rows.front().algorithm == Algorithm::kRing);
  CHECK(sweep.rows.front().protocol == Protocol::kLl128);
  CHECK(sweep.rows.front().channels == 4);
}

}  // namespace test_collective_table
