#include "validation/tables/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::vector<double> ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> out(values.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t last = first;
    while (last + 1 < order.size() && !(values[order[first]] < values[order[last + 1]])) {
      ++last;
    }
    const double shared = (static_cast<double>(first) + static_cast<double>(last)) / 2.0;
    for (std::size_t i = first; i <= last; ++i) {
      out[order[i]] = shared;
    }
    first = last + 1;
  }
  return out;
}

}  // namespace

std::optional<double> quantile(std::vector<double> values, double share) {
  TY_ASSERT(share >= 0.0 && share <= 1.0);
  if (values.empty()) {
    return std::nullopt;
  }
  std::sort(values.begin(), values.end());
  const double position = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  const double weight = position - std::floor(position);
  return values[below] * (1.0 - weight) + values[above] * weight;
}

std::optional<double> spearman(std::span<const double> first, std::span<const double> second) {
  TY_ASSERT(first.size() == second.size());
  if (first.size() < 2) {
    return std::nullopt;
  }
  const std::vector<double> a = ranks(first);
  const std::vector<double> b = ranks(second);
  const double mean_a = mean(a);
  const double mean_b = mean(b);
  double covariance = 0.0;
  double variance_a = 0.0;
  double variance_b = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    covariance += (a[i] - mean_a) * (b[i] - mean_b);
    variance_a += (a[i] - mean_a) * (a[i] - mean_a);
    variance_b += (b[i] - mean_b) * (b[i] - mean_b);
  }
  if (!(variance_a > 0.0 && variance_b > 0.0)) {
    return std::nullopt;
  }
  return covariance / std::sqrt(variance_a * variance_b);
}

ErrorSummary summarize_errors(std::span<const double> measured, std::span<const double> predicted) {
  TY_ASSERT(measured.size() == predicted.size());
  ErrorSummary summary{.count = measured.size()};
  if (measured.empty()) {
    return summary;
  }
  std::vector<double> errors;
  std::vector<double> sizes;
  for (std::size_t i = 0; i < measured.size(); ++i) {
    TY_ASSERT(measured[i] > 0.0);
    errors.push_back(predicted[i] / measured[i] - 1.0);
    sizes.push_back(std::abs(errors.back()));
  }
  summary.bias = mean(errors);
  summary.mean_abs_error = mean(sizes);
  summary.median_abs_error = quantile(sizes, 0.5);
  summary.p90_abs_error = quantile(std::move(sizes), 0.9);
  summary.spearman = spearman(measured, predicted);
  return summary;
}

}  // namespace trainyard
