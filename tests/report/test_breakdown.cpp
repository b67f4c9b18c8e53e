#include <doctest/doctest.h>

#include "sim/report/breakdown.hpp"
#include "tests/report/hand_made.hpp"

using namespace trainyard;

namespace test_breakdown {

namespace {

// One rank that does what it is told.
HandMade one_rank(std::vector<Operation> operations, RankTimeline timeline, double step) {
  HandMade made;
  made.program.names = {"name"};
  made.program.class_names = {"stage 0"};
  made.program.class_of = {ClassId::from(0)};
  RankProgram program;
  program.operations = std::move(operations);
  made.program.classes = {program};
  made.timeline.step = {step};
  made.timeline.ranks = {std::move(timeline)};
  keep_communications(program, made.timeline.ranks.front());
  return made;
}

}  // namespace

TEST_CASE("every instant of a rank has one cause") {
  // 0-1 nothing issued: host 1. 1-4 kernels: compute 3. 4-5 the collective waits for others: bubble 1. 5-7 it moves:
  // tp 2. 7-9 kernels with 1.5 s of device time: compute 1.5, host 0.5. 9-10 over before the step is: bubble 1.
  const HandMade made =
      one_rank({kernels_operation(0, 3.0), communication_operation(0, Category::kTensor, StreamName::kTensor, 0),
                kernels_operation(0, 1.5)},
               rank_timeline(0, 0, {1.0, 4.0, 7.0}, {1.0, 5.0, 7.0}, {4.0, 7.0, 9.0}), 10.0);
  const Breakdown parts = break_down(made.program, made.timeline);
  CHECK(parts.compute.value == doctest::Approx(4.5));
  CHECK(parts.exposed_tp.value == doctest::Approx(2.0));
  CHECK(parts.bubble.value == doctest::Approx(2.0));
  CHECK(parts.host.value == doctest::Approx(1.5));
  CHECK(parts.total().value == doctest::Approx(10.0));
}

TEST_CASE("communication beside kernels is not exposed") {
  // Kernels 0-5, the reduction 2-6: one second of it sticks out.
  const HandMade made =
      one_rank({kernels_operation(0, 5.0), communication_operation(0, Category::kData, StreamName::kData, 0)},
               rank_timeline(0, 0, {0.0, 2.0}, {0.0, 2.0}, {5.0, 6.0}), 6.0);
  const Breakdown parts = break_down(made.program, made.timeline);
  CHECK(parts.compute.value == doctest::Approx(5.0));
  CHECK(parts.exposed_dp.value == doctest::Approx(1.0));
  CHECK(parts.total().value == doctest::Approx(6.0));
}

TEST_CASE("of two communications at once the one that moves is the cause") {
  // Pipeline 0-4 waits until 2, data 1-3 moves all along: 0-1 bubble, 1-3 moving data, 3-4 moving pipeline. In 2-3 both
  // move and the one that began first is named, so dp has 1-2 and pp 2-4.
  const HandMade made =
      one_rank({communication_operation(0, Category::kPipeline, StreamName::kPipeline, 0),
                communication_operation(0, Category::kData, StreamName::kData, 0), kernels_operation(0, 1.0)},
               rank_timeline(0, 0, {0.0, 1.0, 4.0}, {2.0, 1.0, 4.0}, {4.0, 3.0, 5.0}), 5.0);
  const Breakdown parts = break_down(made.program, made.timeline);
  CHECK(parts.bubble.value == doctest::Approx(1.0));
  CHECK((parts.exposed_dp + parts.exposed_pp).value == doctest::Approx(3.0));
  CHECK(parts.exposed_pp.value >= 1.0);
  CHECK(parts.exposed_dp.value >= 1.0);
  CHECK(parts.total().value == doctest::Approx(5.0));
}

TEST_CASE("ranks count as often as they stand for others") {
  // Three ranks compute all of 4 s, one computes 2 s and waits 2 s: compute (3*4 + 2) / 4 = 3.5, bubble 0.5.
  HandMade made = one_rank({kernels_operation(0, 4.0)}, rank_timeline(0, 0, {0.0}, {0.0}, {4.0}), 4.0);
  made.timeline.ranks[0].multiplicity = 3;
  RankProgram other;
  other.operations = {kernels_operation(0, 2.0)};
  made.program.classes.push_back(other);
  made.timeline.ranks.push_back(rank_timeline(3, 1, {0.0}, {0.0}, {2.0}));
  const Breakdown parts = break_down(made.program, made.timeline);
  CHECK(parts.compute.value == doctest::Approx(3.5));
  CHECK(parts.bubble.value == doctest::Approx(0.5));
}

TEST_CASE("a device waits for samples where nothing else holds it up") {
  // The host makes samples 0-6 and copies them 6-7; kernels that wait for the copy could start at 2, when those before
  // them are over. 0-2 and 7-9 kernels, 2-7 input; the next samples are made 7-12, three seconds after the last kernel.
  std::vector<Operation> operations = {kernels_operation(0, 2.0), kernels_operation(0, 6.0),
                                       communication_operation(0, Category::kInput, StreamName::kInputCopy, 0),
                                       kernels_operation(0, 2.0), kernels_operation(0, 5.0)};
  for (const std::size_t made : {1, 4}) {
    operations[made].category = Category::kInput;
    operations[made].stream = StreamName::kInput;
  }
  operations[3].waits = 1;
  HandMade made = one_rank(
      operations, rank_timeline(0, 0, {0.0, 0.0, 6.0, 7.0, 7.0}, {0.0, 0.0, 6.0, 7.0, 7.0}, {2.0, 6.0, 7.0, 9.0, 12.0}),
      12.0);
  made.program.classes[0].waits = {OperationId::from(2)};
  const Breakdown parts = break_down(made.program, made.timeline);
  CHECK(parts.compute.value == doctest::Approx(4.0));
  CHECK(parts.input.value == doctest::Approx(8.0));
  CHECK(parts.total().value == doctest::Approx(12.0));
}

TEST_CASE("sender and receiver: waiting for the sender is a bubble, the message is exposed") {
  // Rank 0: compute 2, pp 1, over at 3 of 5: bubble 2. Rank 1: compute 1 + 2, waits 1, pp 1. Averages over two.
  const HandMade made = sender_and_receiver();
  const Breakdown parts = break_down(made.program, made.timeline);
  CHECK(parts.compute.value == doctest::Approx(2.5));
  CHECK(parts.exposed_pp.value == doctest::Approx(1.0));
  CHECK(parts.bubble.value == doctest::Approx(1.5));
  CHECK(parts.total().value == doctest::Approx(5.0));
}

}  // namespace test_breakdown
