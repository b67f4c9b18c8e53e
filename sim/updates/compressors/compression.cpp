#include "sim/updates/compressors/compression.hpp"

#include <algorithm>
#include <cmath>

namespace trainyard {

MatrixShape square_matrix(double values) {
  constexpr double kMostValues = 1e18;  // what rows times columns hold
  const double whole = std::min(values, kMostValues);
  const auto side = std::max(std::int64_t{1}, static_cast<std::int64_t>(std::llround(std::sqrt(whole))));
  const auto columns = static_cast<std::int64_t>(std::llround(whole / static_cast<double>(side)));
  return {.rows = side, .columns = std::max(std::int64_t{1}, columns)};
}

double count_values(Matrices matrices) {
  double sum = 0.0;
  for (const MatrixShape& matrix : matrices) {
    sum += matrix.values();
  }
  return sum;
}

}  // namespace trainyard
