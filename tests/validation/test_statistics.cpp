#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>

#include "validation/tables/statistics.hpp"

namespace trainyard::test_statistics {
namespace {

TEST_CASE("quantiles interpolate between order statistics") {
  // Positions 0, 1, 2, 3 hold 1, 2, 3, 10; the share 0.9 falls at 2.7: 3 + 0.7 * 7 = 7.9.
  CHECK(*quantile({10.0, 1.0, 3.0, 2.0}, 0.0) == 1.0);
  CHECK(*quantile({10.0, 1.0, 3.0, 2.0}, 0.5) == 2.5);
  CHECK(*quantile({10.0, 1.0, 3.0, 2.0}, 0.9) == doctest::Approx(7.9));
  CHECK(*quantile({10.0, 1.0, 3.0, 2.0}, 1.0) == 10.0);
  CHECK(*quantile({4.0}, 0.9) == 4.0);
  CHECK_FALSE(quantile({}, 0.5).has_value());
}

TEST_CASE("rank correlation sees order and not size") {
  const std::vector<double> up = {1.0, 2.0, 3.0, 4.0};
  CHECK(*spearman(up, std::vector<double>{1.0, 10.0, 100.0, 1000.0}) == doctest::Approx(1.0));
  CHECK(*spearman(up, std::vector<double>{9.0, 8.0, 1.0, 0.5}) == doctest::Approx(-1.0));
  // Ranks 1 2 3 4 against 1 3 2 4: 1 - 6 * (0 + 1 + 1 + 0) / (4 * 15) = 0.8.
  CHECK(*spearman(up, std::vector<double>{1.0, 3.0, 2.0, 4.0}) == doctest::Approx(0.8));
}

TEST_CASE("tied values share their mean rank") {
  // Ranks 1.5 1.5 3 against 1 2 3: covariance 1.5, variances 1.5 and 2, so 1.5 / sqrt(3).
  CHECK(*spearman(std::vector<double>{5.0, 5.0, 6.0}, std::vector<double>{1.0, 2.0, 3.0}) ==
        doctest::Approx(1.5 / std::sqrt(3.0)));
  CHECK_FALSE(spearman(std::vector<double>{1.0, 1.0}, std::vector<double>{1.0, 2.0}).has_value());
  CHECK_FALSE(spearman(std::vector<double>{1.0}, std::vector<double>{1.0}).has_value());
}

TEST_CASE("errors are fractions of the measurement") {
  // Errors +10 %, -20 %, 0, +50 %: absolute 0, 0.1, 0.2, 0.5; median 0.15, mean 0.2, bias 0.1.
  const std::vector<double> measured = {1.0, 2.0, 3.0, 4.0};
  const std::vector<double> predicted = {1.1, 1.6, 3.0, 6.0};
  const ErrorSummary summary = summarize_errors(measured, predicted);
  CHECK(summary.count == 4);
  CHECK(*summary.median_abs_error == doctest::Approx(0.15));
  CHECK(*summary.mean_abs_error == doctest::Approx(0.2));
  CHECK(*summary.bias == doctest::Approx(0.1));
  CHECK(*summary.p90_abs_error == doctest::Approx(0.2 + 0.7 * 0.3));  // position 2.7
  CHECK(*summary.spearman == doctest::Approx(1.0));
}

TEST_CASE("no rows have no errors") {
  const ErrorSummary summary = summarize_errors({}, {});
  CHECK(summary.count == 0);
  CHECK_FALSE(summary.median_abs_error.has_value());
  CHECK_FALSE(summary.bias.has_value());
}

TEST_CASE("a monotonic transformation leaves the rank correlation as it is") {
  CHECK(rc::check([](const std::vector<std::pair<int, int>>& pairs) {
    std::vector<double> first;
    std::vector<double> second;
    std::vector<double> stretched;
    for (const auto& [a, b] : pairs) {
      first.push_back(a);
      second.push_back(b);
      stretched.push_back(3.0 * b + 7.0);
    }
    const auto plain = spearman(first, second);
    RC_ASSERT(plain == spearman(first, stretched));
    RC_ASSERT(!plain || std::abs(*plain) <= 1.0 + 1e-12);
  }));
}

}  // namespace
}  // namespace trainyard::test_statistics
