// The table of algorithms, and what it means to force one of them.
#include <doctest/doctest.h>

#include <set>

#include "sim/collectives/algorithms/table.hpp"
#include "sim/collectives/plan.hpp"
#include "tests/collectives/collective_bench.hpp"

using namespace trainyard;

namespace test_algorithms {

namespace {

CollectiveOptions forced(Algorithm algorithm, Unserved unserved) {
  CollectiveOptions options = CollectiveBench::own_model("2.30");
  options.algorithm = algorithm;
  options.unserved = unserved;
  return options;
}

}  // namespace

TEST_CASE("every name has a row that says who it serves and how it runs") {
  REQUIRE(collective_algorithms().size() == kAlgorithmNames.rows.size());
  std::set<std::string_view> descriptions;
  for (const auto& [name, algorithm] : kAlgorithmNames.rows) {
    CAPTURE(name);
    const CollectiveAlgorithm& row = row_of(algorithm);
    CHECK(row.name == algorithm);
    CHECK(descriptions.insert(row.description).second);
    // Fluid, or round by round; the tuner weighs nothing but fluid ones, and those first.
    CHECK((row.expand == nullptr) == (row.traffic != nullptr && row.path != nullptr));
    CHECK((row.tuner != nullptr) == (static_cast<std::size_t>(algorithm) < kTunedAlgorithms));
  }
}

TEST_CASE("a forced algorithm runs where it does the operation, and what it does not do keeps its own choice") {
  const CollectiveBench bench("dgx-h100", 16);
  const CollectiveOptions tree = forced(Algorithm::kTree, Unserved::kOwnChoice);
  const CollectiveOptions own = CollectiveBench::own_model("2.30");
  for (const CollectiveOp op : {CollectiveOp::kAllGather, CollectiveOp::kAllToAll, CollectiveOp::kSendRecv}) {
    CAPTURE(kCollectiveOpNames.name_of(op));
    CHECK(bench.plan(op, kGiB, tree).algorithm == bench.plan(op, kGiB, own).algorithm);
    CHECK(bench.time(op, kGiB, tree) == bench.time(op, kGiB, own));
    CHECK_THROWS_AS(bench.plan(op, kGiB, forced(Algorithm::kTree, Unserved::kRefused)), UserError);
  }
  CHECK(bench.plan(CollectiveOp::kAllReduce, kGiB, own).algorithm != Algorithm::kTree);
  CHECK(bench.plan(CollectiveOp::kAllReduce, kGiB, tree).algorithm == Algorithm::kTree);
  CHECK(bench.plan(CollectiveOp::kBarrier, 0.0, tree).algorithm == Algorithm::kTree);  // an all-reduce
  CHECK(bench.plan(CollectiveOp::kAllToAll, kMiB, forced(Algorithm::kBruck, Unserved::kOwnChoice)).algorithm ==
        Algorithm::kBruck);
}

TEST_CASE("PAT is no choice of a version that does not have it") {
  const CollectiveBench bench("dgx-h100", 16);
  CollectiveOptions pat = forced(Algorithm::kPat, Unserved::kOwnChoice);
  CHECK_THROWS_AS(bench.plan(CollectiveOp::kAllGather, kMiB, pat), UserError);  // eight GPUs a node
  pat.nccl_version = "2.18";
  CHECK(bench.plan(CollectiveOp::kAllGather, kMiB, pat).algorithm == Algorithm::kRing);
}

TEST_CASE("a group that cannot use the forced algorithm is named, with what it can use") {
  const CollectiveBench bench("dgx-h100", 8);
  CollectiveOptions options = forced(Algorithm::kNvlsTree, Unserved::kOwnChoice);
  options.algorithm_file = "scenario";
  options.algorithm_pointer = "/training/collective_algorithm";
  try {
    bench.plan(CollectiveOp::kAllReduce, kMiB, options);
    FAIL("accepted");
  } catch (const UserError& error) {
    const Fault& fault = error.fault();
    CHECK(fault.file == "scenario");
    CHECK(fault.pointer == "/training/collective_algorithm");
    CHECK(fault.found == "nvls_tree for all_reduce of 8 GPUs on one node");
    CHECK(fault.allowed == "ring/LL, ring/LL128, ring/Simple, tree/LL, tree/LL128, tree/Simple, nvls/Simple");
  }
}

TEST_CASE("rounds do not know unequal counts") {
  const CollectiveBench bench("dgx-a100", 4);
  const std::vector<Transfer> transfers = {{{0}, {1}, {1e6}}, {{2}, {1}, {3e6}}};
  const CollectiveRequest request{
      .op = CollectiveOp::kAllToAllV, .size = {1e6}, .members = bench.members, .transfers = transfers};
  const auto plan = [&](Unserved unserved) {
    return plan_collective(request, bench.cluster, bench.fabric, forced(Algorithm::kDirect, unserved));
  };
  CHECK(plan(Unserved::kOwnChoice).algorithm == Algorithm::kPointToPoint);
  CHECK_THROWS_AS(plan(Unserved::kRefused), UserError);
}

}  // namespace test_algorithms
