#include <doctest/doctest.h>

#include <algorithm>

#include "sim/report/critical_path.hpp"
#include "tests/report/hand_made.hpp"

using namespace trainyard;

namespace test_critical_path {

namespace {

double total(const std::vector<CriticalPart>& parts) {
  double sum = 0.0;
  for (const CriticalPart& part : parts) {
    sum += part.time.value;
  }
  return sum;
}

double time_of(const std::vector<CriticalPart>& parts, const std::string& rank_class, const std::string& operation) {
  for (const CriticalPart& part : parts) {
    if (part.rank_class == rank_class && part.operation == operation) {
      return part.time.value;
    }
  }
  return 0.0;
}

}  // namespace

TEST_CASE("the path goes to the member that arrived last and its parts add up to the step") {
  // Backwards: "after" 5-3 on stage 1, its receive waited, so the send 3-2 on stage 0, and "long" 2-0 before it.
  // "short" on stage 1 is on no path.
  const HandMade made = sender_and_receiver();
  const std::vector<CriticalPart> parts = critical_path(made.program, made.timeline);
  CHECK(time_of(parts, "stage 1", "after") == doctest::Approx(2.0));
  CHECK(time_of(parts, "stage 0", "send") == doctest::Approx(1.0));
  CHECK(time_of(parts, "stage 0", "long") == doctest::Approx(2.0));
  CHECK(time_of(parts, "stage 1", "short") == doctest::Approx(0.0));
  CHECK(total(parts) == doctest::Approx(5.0));
  CHECK(std::is_sorted(parts.begin(), parts.end(),
                       [](const CriticalPart& a, const CriticalPart& b) { return b.time < a.time; }));
}

TEST_CASE("time before the first kernel is the host's") {
  // Everything half a second later: the first kernel of stage 0 starts at 0.5 and nothing on a device is before it.
  HandMade made = sender_and_receiver();
  for (RankTimeline& rank : made.timeline.ranks) {
    for (auto* column : {&rank.start, &rank.moving, &rank.end}) {
      for (double& time : *column) {
        time += 0.5;
      }
    }
  }
  made.timeline.step = {5.5};
  const std::vector<CriticalPart> parts = critical_path(made.program, made.timeline);
  CHECK(time_of(parts, "stage 0", "host issues work") == doctest::Approx(0.5));
  CHECK(total(parts) == doctest::Approx(5.5));
}

}  // namespace test_critical_path
