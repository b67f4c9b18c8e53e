// Replicas that meet at the end of a step are simulated one by one until then, with the same result.
#include <doctest/doctest.h>

#include "sim/engine/event_run.hpp"
#include "tests/engine/hand_made.hpp"
#include "tests/engine/in_child.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_islands {

namespace {

constexpr std::int32_t kReplicas = 4;

// Replicas of two stages, ranks 2 r and 2 r + 1. Stage 0 sends `micro_batches` messages and stage 1 answers each; then
// equal stages reduce among themselves, stage 1 while stage 0 still works. Reductions and messages share links. With
// `reduce_often` they reduce after every micro-batch.
Program replicas(int micro_batches, bool reduce_often, const Variation& variation) {
  PencilProgram program;
  std::vector<std::vector<RankId>> forward;
  std::vector<std::vector<RankId>> backward;
  std::array<std::vector<RankId>, 2> equal;
  for (std::int32_t r = 0; r < kReplicas; ++r) {
    forward.push_back({{2 * r}, {2 * r + 1}});
    backward.push_back({{2 * r + 1}, {2 * r}});
    equal[0].push_back({2 * r});
    equal[1].push_back({2 * r + 1});
  }
  const CommunicationId there = program.communication(CollectiveOp::kSendRecv, 1_MB, forward);
  const CommunicationId back = program.communication(CollectiveOp::kSendRecv, 2_MB, backward);
  for (const std::size_t stage : {0, 1}) {
    const CommunicationId reduce = program.communication(CollectiveOp::kAllReduce, 300_MB, {equal[stage]});
    std::vector<std::int32_t> ranks;
    for (const RankId rank : equal[stage]) {
      ranks.push_back(rank.value);
    }
    program.add(ranks, [&](RankBuilder& rank) {
      for (int m = 0; m < micro_batches; ++m) {
        compute(rank, 2_ms);
        rank.communicate_async(Category::kPipeline, StreamName::kPipeline, "there", 1_us, there);
        compute(rank, 3_ms);
        rank.communicate_async(Category::kExpert, StreamName::kExpert, "back", 1_us, back);
        if (reduce_often) {
          collect(rank, reduce);
        }
      }
      rank.communicate_async(Category::kData, StreamName::kData, "reduce", 1_us, reduce);
      compute(rank, stage == 0 ? 40_ms : 5_ms);
      rank.communicate_async(Category::kData, StreamName::kData, "reduce", 1_us, reduce);
      compute(rank, 1_ms);
      rank.host_wait("end");
    });
  }
  Program written = program.take();
  written.variation = variation;
  return written;
}

Json run(const Program& program, const Fabric& fabric, const Quotient& quotient, const Islands& islands,
         std::size_t workers) {
  return timeline_json(EventRun(program, fabric, quotient, islands).run(workers));
}

}  // namespace

TEST_CASE("what islands do is what all do together, to the bit, on any number of threads") {
  const Fabric fabric = star(2 * kReplicas, 10_GBps);
  const PencilCosts costs(fabric, 5_us);
  for (const double jitter : {0.0, 0.05}) {
    CAPTURE(jitter);
    const Program program = replicas(40, false, {.kernel_jitter = jitter, .network_jitter = jitter, .seed = 3});
    const Quotient quotient = fold_program(program, fabric, costs, Fold::kOff);
    const Islands islands = find_islands(program, quotient);
    REQUIRE(islands.count == kReplicas);
    CHECK(islands.of_rank == std::vector<std::int32_t>{0, 0, 1, 1, 2, 2, 3, 3});
    CHECK(islands.across == std::vector<char>{0, 0, 1, 1});  // the reductions
    const Json together = run(program, fabric, quotient, one_island(program, quotient), 1);
    for (const std::size_t workers : {1, 2, 5}) {
      CHECK(run(program, fabric, quotient, islands, workers) == together);
    }
  }
}

TEST_CASE("who meets all the time is on one island") {
  const Fabric fabric = star(2 * kReplicas, 10_GBps);
  const PencilCosts costs(fabric, 5_us);
  const Program program = replicas(40, true, {});
  CHECK(find_islands(program, fold_program(program, fabric, costs, Fold::kOff)).count == 1);
}

TEST_CASE("what takes the links of an island that it has no member on joins it to its own") {
  const Fabric fabric = star(2 * kReplicas, 10_GBps);
  const PencilCosts costs(fabric, 5_us);
  const Program program = replicas(40, false, {});
  Quotient quotient = fold_program(program, fabric, costs, Fold::kOff);
  // Replica 3 leaves the reductions of stage 0, but one of their flows goes over the link of its first message.
  GroupClass& reduction = quotient.groups[2 * kReplicas];
  std::erase(reduction.participants, 6);
  FlowClass& flow = quotient.flows[static_cast<std::size_t>(reduction.flows.front())];
  flow.links.push_back(quotient.flows[static_cast<std::size_t>(quotient.groups[3].flows.front())].links.front());
  CHECK(find_islands(program, quotient).count == 1);
}

TEST_CASE("islands that wait for each other in a circle are a deadlock like any other") {
  const Fabric fabric = star(4, 10_GBps);
  const PencilCosts costs(fabric, 5_us);
  PencilProgram written;
  const CommunicationId inside = written.communication(CollectiveOp::kSendRecv, 1_MB, {{{0}, {1}}, {{2}, {3}}});
  const CommunicationId first = written.communication(CollectiveOp::kAllReduce, 1_MB, {{{0}, {2}}});
  const CommunicationId second = written.communication(CollectiveOp::kAllReduce, 1_MB, {{{1}, {3}}});
  const auto rank_program = [&](const std::vector<CommunicationId>& meets) {
    return [&inside, meets](RankBuilder& rank) {
      for (int m = 0; m < 200; ++m) {
        compute(rank, 1_ms);
        send(rank, inside);
      }
      for (const CommunicationId id : meets) {
        collect(rank, id);
        send(rank, inside);
      }
    };
  };
  // Ranks 0 and 1 send each other a message after the reduction with the other island; rank 3 sends one too few.
  written.add({0}, rank_program({first}));
  written.add({1}, rank_program({second}));
  written.add({2}, rank_program({first}));
  written.add({3}, rank_program({}));
  const Program program = written.take();
  const Quotient quotient = fold_program(program, fabric, costs, Fold::kOff);
  const Islands islands = find_islands(program, quotient);
  REQUIRE(islands.count == 2);
  std::string here;
  std::string together;
  for (auto [message, of] : {std::pair(&here, islands), std::pair(&together, one_island(program, quotient))}) {
    try {
      EventRun(program, fabric, quotient, of).run(2);
    } catch (const UserError& error) {
      CHECK(error.code() == ExitCode{4});
      *message = error.what();
    }
  }
  CHECK(!here.empty());
  CHECK(here == together);
}

}  // namespace test_islands
