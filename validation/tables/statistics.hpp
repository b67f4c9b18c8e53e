#pragma once
// How far predictions are from measurements. Errors are fractions: predicted / measured - 1.
#include <optional>
#include <span>
#include <vector>

namespace trainyard {

// Quantile by linear interpolation between order statistics (0 = smallest, 1 = largest). Nothing of no values.
std::optional<double> quantile(std::vector<double> values, double share);

// Rank correlation of two series of equal length, ties sharing their mean rank. Nothing when there are fewer than two
// pairs or when one series is constant.
std::optional<double> spearman(std::span<const double> first, std::span<const double> second);

struct ErrorSummary {
  std::size_t count = 0;
  std::optional<double> median_abs_error;
  std::optional<double> mean_abs_error;
  std::optional<double> p90_abs_error;
  std::optional<double> bias;  // mean of the signed errors
  std::optional<double> spearman;
};

// `measured` must be positive.
ErrorSummary summarize_errors(std::span<const double> measured, std::span<const double> predicted);

}  // namespace trainyard
