// When operations start follows from when others end.
#include <doctest/doctest.h>

#include "sim/engine/column_times.hpp"
#include "tests/engine/hand_made.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_column_times {

TEST_CASE("an operation starts when its stream is free, what it waits for is over and its first kernel is issued") {
  NameIndex names;
  RankBuilder rank(names);
  KernelRun two;  // kernels of 2 s, each issued for 1 s
  two.append(1_s, 2_s);
  two.append(1_s, 2_s);
  const CommunicationId message{0};
  rank.kernels(Category::kCompute, "first", two);
  const OperationId sent = rank.communicate_async(Category::kPipeline, StreamName::kPipeline, "message", 1_s, message);
  rank.kernels(Category::kCompute, "second", two);
  rank.join(sent);
  rank.kernels(Category::kCompute, "third", two);
  rank.host_wait("wait");
  rank.kernels(Category::kCompute, "fourth", two);
  const RankProgram program = rank.take();
  REQUIRE(program.operations.size() == 6);
  // Issued are: first at 2, message at 3, second at 5, third at 7, the wait at 7 and, as it ends at 20, fourth at 22.
  // The message waits for the first kernels, which end at 5, and takes until 14; the second kernels until 9.
  RankTimeline timeline;
  timeline.end = {5.0, 14.0, 9.0, 18.0, 20.0, 26.0};
  // The first of two kernels is issued after half of the issue.
  const std::vector<double> expected = {1.0, 5.0, 5.0, 14.0, 7.0, 21.0};
  const StartTimes starts(program);
  const std::vector<double> all = start_times(program, timeline);
  REQUIRE(all.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK(all[i] == doctest::Approx(expected[i]));
    CHECK(starts.of(timeline, i) == doctest::Approx(expected[i]));
  }
  timeline.start = {0.0, 1.0, 2.0, 3.0, 4.0, 5.0};
  CHECK(start_times(program, timeline) == timeline.start);
  CHECK(starts.of(timeline, 3) == 3.0);
}

}  // namespace test_column_times
