#include <doctest/doctest.h>

#include "sim/collectives/plan.hpp"
#include "tests/collectives/collective_bench.hpp"

using namespace trainyard;

namespace test_footprint {

namespace {

CollectivePlan with_buffers(const CollectiveBench& bench, CollectiveOp op, double bytes, BufferUse buffers,
                            Algorithm algorithm) {
  CollectiveOptions options;
  options.algorithm = algorithm;
  options.protocol = Protocol::kSimple;
  return plan_collective({op, {bytes}, bench.members, buffers}, bench.cluster, bench.fabric, options);
}

}  // namespace

TEST_CASE("a ring moves three bytes of memory per byte sent, and a send slot's two more through a NIC") {
  // Eight members of a node send 2 (n-1)/n of the payload each: slot written, slot read, operand read.
  const CollectiveBench node("dgx-a100", 8);
  CHECK(with_buffers(node, CollectiveOp::kAllReduce, 1e9, BufferUse::kCopied, Algorithm::kRing).memory_traffic.value ==
        doctest::Approx(3.0 * 1.75e9).epsilon(1e-12));
  // Two nodes: of 2 * 15/16 of the payload a member sends, 7/8 go round its node and 1/8 leaves by its NIC.
  const CollectiveBench pair("dgx-a100", 16);
  CHECK(with_buffers(pair, CollectiveOp::kAllReduce, 1e9, BufferUse::kCopied, Algorithm::kRing).memory_traffic.value ==
        doctest::Approx((3.0 * 7.0 / 8.0 + 5.0 / 8.0) * 1.875e9).epsilon(1e-12));
}

TEST_CASE("registered buffers and copy engines take fewer SMs and less memory traffic") {
  const CollectiveBench bench("dgx-h100", 8);
  const CollectivePlan copied =
      with_buffers(bench, CollectiveOp::kAllReduce, 1e9, BufferUse::kCopied, Algorithm::kNvls);
  const CollectivePlan registered =
      with_buffers(bench, CollectiveOp::kAllReduce, 1e9, BufferUse::kRegistered, Algorithm::kNvls);
  const CollectivePlan engines =
      with_buffers(bench, CollectiveOp::kAllGather, 1e9, BufferUse::kCopyEngine, Algorithm::kRing);
  CHECK(copied.sms == copied.channels);
  CHECK(copied.memory_traffic.value == doctest::Approx(6e9));
  CHECK(registered.sms == 4);
  CHECK(registered.memory_traffic.value == doctest::Approx(2e9));
  CHECK(engines.sms == 0);
  CHECK(engines.memory_traffic.value == doctest::Approx(2.0 * 7.0 / 8.0 * 1e9));
}

}  // namespace test_footprint
