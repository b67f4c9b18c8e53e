#include "sim/updates/compressors/compression.hpp"

#include <algorithm>
#include <cmath>

namespace trainyard {

MatrixShape square_matrix(double values) {
  const auto side = std::max(std::int64_t{1}, static_cast<std::int64_t>(std::llround(std::sqrt(values))));
  const auto columns = static_cast<std::int64_t>(std::llround(values / static_cast<double>(side)));
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
