// Bubbles of the orders alone, played without engine, host or network.
#include "tests/schedules/schedule_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_bubbles {

namespace {

Played played(ScheduleName name, std::int32_t stages, std::int32_t chunks, std::int32_t micro_batches,
              const Lengths& lengths = {}) {
  const ScheduleShape shape{
      .stages = stages, .chunks = chunks, .micro_batches = micro_batches, .placement = schedule_traits(name).placement};
  const auto result = play(pass_orders(name, shape), shape, lengths);
  REQUIRE(result.has_value());
  return result.value_or(Played{});
}

double longest_idle(const Played& one) {
  return *std::max_element(one.idle.begin(), one.idle.end());
}

}  // namespace

TEST_CASE("ZB-H1 idles (p - 1) (F + B - W), ZB-H2 and ZB-V not at all") {
  for (const std::int32_t p : {1, 2, 3, 4, 7, 8, 16}) {
    for (const std::int32_t m : {2 * p, 3 * p, 5 * p + 1}) {
      CAPTURE(p);
      CAPTURE(m);
      // F = B = W = 1 (arXiv 2401.10241, table 2).
      CHECK(longest_idle(played(ScheduleName::kZbH1, p, 1, m)) == p - 1);
      CHECK(played(ScheduleName::kZbH1, p, 1, m).step == 3 * m + p - 1);
      CHECK(longest_idle(played(ScheduleName::kZbH2, p, 1, m)) == 0);
      CHECK(longest_idle(played(ScheduleName::kZbV, p, 2, m)) == 0);
      // The last stage starts p - 1 passes late and works without pause.
      CHECK(played(ScheduleName::kZbH2, p, 1, m).step == 3 * m + p - 1);
      CHECK(played(ScheduleName::kZbV, p, 2, m).step == 6 * m + p - 1);
    }
  }
}

TEST_CASE("V-Half has half the bubble of 1F1B, V-Min two thirds") {
  for (const std::int32_t p : {2, 3, 4, 6, 8, 12, 16}) {
    for (const std::int32_t m : {p, 2 * p, 4 * p}) {
      CAPTURE(p);
      CAPTURE(m);
      // Of 1F1B in chunk passes, two per stage: (p - 1) (F + B + W) * 2 = 6 (p - 1).
      const double of_1f1b = 6.0 * (p - 1);
      CHECK(longest_idle(played(ScheduleName::kVHalf, p, 2, m)) <= of_1f1b / 2.0);
      // A gap of two passes keeps blocks apart where p divides by 3: at most one of them stays idle.
      CHECK(longest_idle(played(ScheduleName::kVMin, p, 2, m)) <= of_1f1b * 2.0 / 3.0 + (p % 3 == 0 ? 1.0 : 0.0));
    }
  }
}

TEST_CASE("DualPipe idles (p / 2 - 1) (F&B + B - 3 W)") {
  // DualPipe README, B the whole backward pass and F&B a forward and a backward pass joined, here one after the other.
  for (const double weights : {1.0, 0.5}) {
    const Lengths lengths{.forward = 1.0, .inputs = 1.0, .weights = weights};
    const double whole = 1.0 + weights;
    const double each = (1.0 + whole) + whole - 3.0 * weights;
    for (const std::int32_t p : {2, 4, 6, 8, 16}) {
      const std::int32_t pairs = p / 2 - 1;
      for (const std::int32_t m : {2 * p, 3 * p, 4 * p}) {
        CAPTURE(p);
        CAPTURE(m);
        CHECK(longest_idle(played(ScheduleName::kDualPipe, p, 2, m, lengths)) == doctest::Approx(pairs * each));
        // The same on half the devices.
        CHECK(longest_idle(played(ScheduleName::kDualPipeV, p / 2, 2, m, lengths)) == doctest::Approx(pairs * each));
      }
    }
  }
}

TEST_CASE("breadth-first and interleaved orders divide GPipe's bubble by the number of chunks") {
  for (const std::int32_t p : {2, 4, 8}) {
    for (const std::int32_t v : {2, 3}) {
      for (const std::int32_t m : {p, 2 * p, 4 * p}) {
        CAPTURE(p);
        CAPTURE(v);
        CAPTURE(m);
        // In chunk passes: v m (F + B) of work and (p - 1) (F + B) of bubble, F + B = 3.
        const double expected = 3.0 * v * m + 3.0 * (p - 1);
        CHECK(played(ScheduleName::kBreadthFirst, p, v, m).step == expected);
        CHECK(played(ScheduleName::kLoopedBfs, p, v, m).step == expected);
        CHECK(played(ScheduleName::kInterleaved, p, v, m).step == expected);
      }
    }
  }
}

}  // namespace test_bubbles
