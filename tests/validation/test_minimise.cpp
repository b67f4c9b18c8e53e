#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "validation/fit/minimise.hpp"

namespace trainyard::test_minimise {
namespace {

TEST_CASE("the minimum of a bowl is found, inside its bounds and on them") {
  double x = 0.0;
  double y = 0.0;
  const std::vector<Knob> knobs = {
      {.smallest = -10.0, .largest = 10.0, .start = 5.0, .set = [&](double value) { x = value; }},
      {.smallest = 0.0, .largest = 10.0, .start = 5.0, .set = [&](double value) { y = value; }}};
  // (x - 1)^2 + (y + 2)^2 is smallest at (1, -2); with y >= 0 at (1, 0), where it is 4.
  const double reached = minimise(
      knobs, [&] { return (x - 1.0) * (x - 1.0) + (y + 2.0) * (y + 2.0); }, 2, 2000);
  CHECK(reached == doctest::Approx(4.0).epsilon(1e-4));
  CHECK(x == doctest::Approx(1.0).epsilon(1e-2));
  CHECK(y == doctest::Approx(0.0).epsilon(1e-2));
}

TEST_CASE("the same problem gives the same bits") {
  const auto run = [] {
    double x = 0.0;
    const std::vector<Knob> knobs = {
        {.smallest = 0.1, .largest = 9.0, .start = 2.0, .set = [&](double value) { x = value; }}};
    minimise(
        knobs, [&] { return std::abs(std::log(x) - 1.0); }, 3, 200);
    return x;
  };
  const double first = run();
  CHECK(first == run());
  CHECK(first == doctest::Approx(std::exp(1.0)).epsilon(1e-3));
}

TEST_CASE("without knobs the loss is what it is") {
  CHECK(minimise(
            {}, [] { return 3.5; }, 1, 10) == 3.5);
}

}  // namespace
}  // namespace trainyard::test_minimise
