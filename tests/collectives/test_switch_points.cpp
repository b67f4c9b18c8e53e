#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <optional>

#include "sim/base/csv.hpp"
#include "sim/collectives/plan.hpp"
#include "tests/collectives/collective_bench.hpp"

using namespace trainyard;

namespace test_switch_points {

namespace {

constexpr double kKink = 1.08;  // how much more a doubling costs than the next one where a protocol ends

using Curve = std::map<double, double>;  // size to time

// Where a message starts to go another way its time jumps: the doubling up to that size costs more than the doubling
// after it, while within one protocol the cost of a doubling only grows. The first such size from 1 MiB on.
std::optional<double> first_jump(const Curve& curve) {
  for (const auto& [size, time] : curve) {
    const auto before = curve.find(size / 2.0);
    const auto after = curve.find(size * 2.0);
    if (size > kMiB && before != curve.end() && after != curve.end() &&
        time / before->second > kKink * (after->second / time)) {
      return size;
    }
  }
  return std::nullopt;
}

// The first size of the tuner's choice that is no longer the algorithm and protocol of 1 MiB.
double first_switch(const CollectiveBench& bench, CollectiveOp op) {
  const auto choice = [&](double size) {
    const CollectiveEstimate e = estimate_collective({op, {size}, bench.members}, bench.cluster, bench.fabric,
                                                     CollectiveBench::own_model("2.30"));
    return std::pair(e.algorithm, e.protocol);
  };
  double size = kMiB;
  while (choice(size) == choice(kMiB)) {
    size *= 2.0;
  }
  return size;
}

}  // namespace

TEST_CASE("the end of LL on an H100 node is within a power of two of the measured one") {
  const CsvTable table = CsvTable::read(std::filesystem::path(TRAINYARD_SOURCE_DIR) /
                                        "validation/published/collectives/nccl_aiconfigurator.csv");
  std::map<std::pair<CollectiveOp, int>, Curve> curves;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const auto op = kCollectiveOpNames.find(table.text(row, "collective"));
    // Half precision: 8-bit sums cannot take every algorithm.
    if (op && table.text(row, "gpu") == "h100-sxm" && table.text(row, "notes").find("half") != std::string::npos) {
      curves[{*op, static_cast<int>(*table.integer(row, "ranks"))}][*table.number(row, "size_bytes")] =
          *table.number(row, "time_us");
    }
  }
  int compared = 0;
  for (const auto& [key, curve] : curves) {
    const auto& [op, ranks] = key;
    if (op != CollectiveOp::kAllReduce && op != CollectiveOp::kAllGather && op != CollectiveOp::kReduceScatter) {
      continue;
    }
    const std::optional<double> measured = first_jump(curve);
    if (!measured) {
      continue;
    }
    const double predicted = first_switch(CollectiveBench("dgx-h100", ranks), op);
    const std::string_view op_name = kCollectiveOpNames.name_of(op);
    const int rank_count = ranks;
    CAPTURE(op_name);
    CAPTURE(rank_count);
    CAPTURE(*measured / kMiB);
    CAPTURE(predicted / kMiB);
    CHECK(std::abs(std::log2(predicted / *measured)) <= 1.0);
    ++compared;
  }
  CHECK(compared >= 6);
}

TEST_CASE("NVLS takes over from LL on eight H200 between 1 and 2 MiB") {
  // Source: NCCL's log in stas00/ml-engineering, eight H200: LL at 1 MiB, NVLS at 2 MiB.
  const CollectiveBench bench("dgx-h200", 8);
  const double predicted = first_switch(bench, CollectiveOp::kAllReduce);
  CHECK(std::abs(std::log2(predicted / (2 * kMiB))) <= 1.0);
  CHECK(bench.plan(CollectiveOp::kAllReduce, predicted, CollectiveBench::own_model("2.30")).algorithm ==
        Algorithm::kNvls);
}

}  // namespace test_switch_points
