#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <set>
#include <vector>

#include "sim/base/random.hpp"

using namespace trainyard;

namespace test_random {

namespace {

constexpr std::uint64_t kDraws = 200'000;

struct Moments {
  double mean = 0.0;
  double variance = 0.0;
  double largest = 0.0;
};

template <class Value>
Moments moments(Value value) {
  Moments out;
  double squares = 0.0;
  for (std::uint64_t i = 0; i < kDraws; ++i) {
    const double one = value(Draw(7).of(i));
    out.mean += one / static_cast<double>(kDraws);
    squares += one * one / static_cast<double>(kDraws);
    out.largest = std::max(out.largest, std::abs(one));
  }
  out.variance = squares - out.mean * out.mean;
  return out;
}

}  // namespace

TEST_CASE("uniform draws lie between 0 and 1 and fill it") {
  const Moments drawn = moments([](const Draw& draw) { return draw.uniform(); });
  // Mean 1/2, variance 1/12; five standard errors of the mean are 5 sqrt(1/12 / 200000) = 0.0032.
  CHECK(std::abs(drawn.mean - 0.5) < 0.0033);
  CHECK(drawn.variance == doctest::Approx(1.0 / 12.0).epsilon(0.01));
  CHECK(drawn.largest < 1.0);
}

TEST_CASE("normal draws have mean 0 and deviation 1, and as many lie beyond two deviations as should") {
  const Moments drawn = moments([](const Draw& draw) { return draw.normal(); });
  CHECK(std::abs(drawn.mean) < 0.012);  // five standard errors: 5 / sqrt(200000) = 0.0112
  CHECK(drawn.variance == doctest::Approx(1.0).epsilon(0.02));
  const Moments beyond = moments([](const Draw& draw) { return std::abs(draw.normal()) > 2.0 ? 1.0 : 0.0; });
  CHECK(beyond.mean == doctest::Approx(std::erfc(2.0 / std::sqrt(2.0))).epsilon(0.05));
}

TEST_CASE("truncated normal draws stay within their bound and lose the variance of the tails") {
  const Moments drawn = moments([](const Draw& draw) { return draw.normal_within(1.0); });
  CHECK(drawn.largest <= 1.0);
  // Variance of a normal truncated at one deviation: 1 - 2 phi(1) / (2 Phi(1) - 1) = 0.2911.
  CHECK(drawn.variance == doctest::Approx(0.2911).epsilon(0.02));
}

TEST_CASE("a draw depends on its whole path and on nothing else") {
  std::set<double> seen;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    for (std::uint64_t a = 0; a < 20; ++a) {
      for (std::uint64_t b = 0; b < 20; ++b) {
        seen.insert(Draw(seed).of(a).of(b).uniform());
      }
    }
  }
  CHECK(seen.size() == std::size_t{20} * 20 * 20);
  CHECK(Draw(1).of(2).of(3).normal() == Draw(1).of(2).of(3).normal());
}

}  // namespace test_random
