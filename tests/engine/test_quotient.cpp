#include <doctest/doctest.h>

#include <numeric>

#include "sim/engine/partition.hpp"
#include "sim/engine/quotient.hpp"
#include "tests/engine/hand_made.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_quotient {

namespace {

// Eight ranks in pairs (0, 1), (2, 3), ... that all run the same program: an all-reduce in the pair.
Program pairs() {
  PencilProgram program;
  const CommunicationId reduce = program.communication(
      CollectiveOp::kAllReduce, 1_MB,
      {{RankId{0}, RankId{1}}, {RankId{2}, RankId{3}}, {RankId{4}, RankId{5}}, {RankId{6}, RankId{7}}});
  program.add({0, 1, 2, 3, 4, 5, 6, 7}, [&](RankBuilder& rank) { collect(rank, reduce); });
  return program.take();
}

template <class Class>
std::int64_t members(const std::vector<Class>& classes) {
  return std::accumulate(classes.begin(), classes.end(), std::int64_t{0},
                         [](std::int64_t sum, const Class& one) { return sum + one.count; });
}

}  // namespace

TEST_CASE("ranks in equivalent places with one program are one class") {
  const Fabric fabric = star(8, 10_GBps);
  const PencilCosts costs(fabric, 1_us);
  const Quotient quotient = fold_program(pairs(), fabric, costs, Fold::kOn);
  CHECK(quotient.ranks.size() == 1);
  CHECK(quotient.groups.size() == 1);
  CHECK(quotient.flows.size() == 1);
  CHECK(members(quotient.ranks) == 8);
  CHECK(members(quotient.groups) == 4);
  CHECK(members(quotient.flows) == 8);
  CHECK(quotient.flows_real == 8);
}

TEST_CASE("without folding everyone is a class of their own") {
  const Fabric fabric = star(8, 10_GBps);
  const PencilCosts costs(fabric, 1_us);
  const Quotient quotient = fold_program(pairs(), fabric, costs, Fold::kOff);
  CHECK(quotient.ranks.size() == 8);
  CHECK(quotient.groups.size() == 4);
  CHECK(quotient.flows.size() == 8);
}

TEST_CASE("one pair that is farther apart splits off alone") {
  const Fabric fabric = star(8, 10_GBps);
  PencilCosts costs(fabric, 1_us);
  costs.latency_of = [](const CollectiveRequest& request) {
    return request.members.front() == DeviceId{4} ? 9_us : 1_us;
  };
  const Quotient quotient = fold_program(pairs(), fabric, costs, Fold::kOn);
  CHECK(quotient.ranks.size() == 2);
  CHECK(quotient.groups.size() == 2);
  CHECK(quotient.flows.size() == 2);
  CHECK(members(quotient.ranks) == 8);
}

TEST_CASE("flows of one class that share a link weigh on it as often as they cross it") {
  // Devices 1, 2 and 3 send to device 0, which receives all three.
  const Fabric fabric = star(4, 10_GBps);
  const PencilCosts costs(fabric, 1_us);
  PencilProgram program;
  const CommunicationId gather = program.communication(CollectiveOp::kSendRecv, 1_MB, {{RankId{1}, RankId{0}}});
  const CommunicationId second = program.message(2, 0, 1_MB);
  program.add({0}, [&](RankBuilder& rank) {
    rank.communicate_async(Category::kPipeline, StreamName::kPipeline, "one", {}, gather);
    rank.communicate_async(Category::kData, StreamName::kData, "two", {}, second);
  });
  program.add({1}, [&](RankBuilder& rank) { send(rank, gather); });
  program.add({2}, [&](RankBuilder& rank) { send(rank, second); });
  program.add({3}, [&](RankBuilder& rank) { compute(rank, 1_us); });
  const Quotient quotient = fold_program(program.take(), fabric, costs, Fold::kOn);
  // Different classes of ranks, so different classes of flows, both through the link down to device 0 (number 1).
  REQUIRE(quotient.flows.size() == 2);
  for (const FlowClass& flow : quotient.flows) {
    std::int64_t through_shared = 0;
    for (const auto& [link, weight] : flow.links) {
      through_shared += quotient.links[static_cast<std::size_t>(link)].representative == LinkId{1} ? weight : 0;
    }
    CHECK(through_shared == 1);
  }
}

TEST_CASE("a partition that hashes got wrong is found out") {
  const Fabric fabric = star(8, 10_GBps);
  PencilCosts costs(fabric, 1_us);
  costs.latency_of = [](const CollectiveRequest& request) {
    return request.members.front() == DeviceId{4} ? 9_us : 1_us;
  };
  const Program program = pairs();
  const LaidOut laid = lay_out(program, fabric, costs);
  const Partition right = equitable_partition(program, fabric, laid, Fold::kOn);
  REQUIRE(is_equitable(program, fabric, laid, right));
  // As if two unlike things had the same 64 bits: the far pair's group, its flows or its ranks among the others'.
  for (std::vector<std::int32_t> Partition::*classes : {&Partition::groups, &Partition::flows, &Partition::ranks}) {
    Partition wrong = right;
    std::fill((wrong.*classes).begin(), (wrong.*classes).end(), 0);
    CHECK(!is_equitable(program, fabric, laid, wrong));
  }
}

}  // namespace test_quotient
