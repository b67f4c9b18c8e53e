// A matrix M as P Q^T of a few columns, by one step of power iteration from the last Q: P = M Q, its columns made
// orthonormal, Q = M^T P. P and Q are linear in M, so that their means over workers are those of the mean. Vectors are
// sent whole. Source: Vogels, Karimireddy, Jaggi, "PowerSGD", NeurIPS 2019, arXiv 1905.13727, algorithm 1.
#include <algorithm>
#include <cmath>

#include "sim/updates/compressors/rows.hpp"

namespace trainyard {
namespace {

bool is_factored(const MatrixShape& matrix) {
  return std::min(matrix.rows, matrix.columns) > 1;
}
// A matrix has no more columns of factors than it has rows or columns itself.
std::int64_t rank_of(const Compression& compression, const MatrixShape& matrix) {
  return std::min({static_cast<std::int64_t>(compression.rank), matrix.rows, matrix.columns});
}
double factor_values(const Compression& compression, const MatrixShape& matrix) {
  return static_cast<double>(rank_of(compression, matrix)) *
         (static_cast<double>(matrix.rows) + static_cast<double>(matrix.columns));
}

Bytes powersgd_bytes(const Compression& compression, Matrices matrices) {
  double values = 0.0;
  for (const MatrixShape& matrix : matrices) {
    values += is_factored(matrix) ? factor_values(compression, matrix) : matrix.values();
  }
  return {kValueBytes * values};
}

Gemm product(std::int64_t m, std::int64_t n, std::int64_t k) {
  return {.m = m, .n = n, .k = k, .precision = Precision::kFp32};
}

// The two products, and between them Gram and Schmidt: every column of P is read and written for each one before it.
std::vector<KernelWork> powersgd_encode(const Compression& compression, Matrices matrices) {
  std::vector<KernelWork> out;
  for (const MatrixShape& matrix : matrices) {
    if (is_factored(matrix)) {
      const std::int64_t rank = rank_of(compression, matrix);
      const double sweeps = static_cast<double>(rank) * (static_cast<double>(rank) + 1.0) / 2.0;
      out.emplace_back(product(matrix.rows, rank, matrix.columns));
      out.emplace_back(MemoryBound{.traffic = {2.0 * kValueBytes * sweeps * static_cast<double>(matrix.rows)}});
      out.emplace_back(product(matrix.columns, rank, matrix.rows));
    }
  }
  return out;
}
std::vector<KernelWork> powersgd_decode(const Compression& compression, Matrices matrices) {
  std::vector<KernelWork> out;
  for (const MatrixShape& matrix : matrices) {
    if (is_factored(matrix)) {
      out.emplace_back(product(matrix.rows, matrix.columns, rank_of(compression, matrix)));
    }
  }
  return out;
}

// Columns of `rows` values each, one after another.
void make_orthonormal(Values& columns, std::size_t rows) {
  const std::size_t count = columns.size() / rows;
  const auto dot = [&](std::size_t a, std::size_t b) {
    double sum = 0.0;
    for (std::size_t i = 0; i < rows; ++i) {
      sum += columns[a * rows + i] * columns[b * rows + i];
    }
    return sum;
  };
  for (std::size_t column = 0; column < count; ++column) {
    const double before = std::sqrt(dot(column, column));
    for (std::size_t other = 0; other < column; ++other) {
      const double along = dot(column, other);
      for (std::size_t i = 0; i < rows; ++i) {
        columns[column * rows + i] -= along * columns[other * rows + i];
      }
    }
    const double length = std::sqrt(dot(column, column));
    // A column that lies in the span of those before it has nothing to add.
    const double scale = length > 1e-12 * before ? 1.0 / length : 0.0;
    for (std::size_t i = 0; i < rows; ++i) {
      columns[column * rows + i] *= scale;
    }
  }
}

// `q`: the last Q of this matrix; both column by column.
void send_factors(double* matrix, std::size_t rows, std::size_t columns, std::size_t rank, double* q) {
  Values p(rows * rank);
  for (std::size_t r = 0; r < rank; ++r) {
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < columns; ++j) {
        p[r * rows + i] += matrix[i * columns + j] * q[r * columns + j];
      }
    }
  }
  make_orthonormal(p, rows);
  for (std::size_t r = 0; r < rank; ++r) {
    for (std::size_t j = 0; j < columns; ++j) {
      double sum = 0.0;
      for (std::size_t i = 0; i < rows; ++i) {
        sum += matrix[i * columns + j] * p[r * rows + i];
      }
      q[r * columns + j] = sum;
    }
  }
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      double sum = 0.0;
      for (std::size_t r = 0; r < rank; ++r) {
        sum += p[r * rows + i] * q[r * columns + j];
      }
      matrix[i * columns + j] = sum;
    }
  }
}

void send_powersgd(const Compression& compression, Matrices matrices, const MessageState& state, Values& values) {
  const auto rank = static_cast<std::size_t>(compression.rank);
  std::size_t columns = 0;
  for (const MatrixShape& matrix : matrices) {
    columns += is_factored(matrix) ? static_cast<std::size_t>(matrix.columns) : 0;
  }
  Values& q = *state.kept;
  for (std::size_t i = q.size(); i < columns * rank; ++i) {  // before the first message
    q.push_back(state.drawn.of(i).normal());
  }
  std::size_t begin = 0;
  std::size_t begin_of_q = 0;
  for (const MatrixShape& matrix : matrices) {
    const auto wide = static_cast<std::size_t>(matrix.columns);
    if (is_factored(matrix)) {
      send_factors(&values[begin], static_cast<std::size_t>(matrix.rows), wide,
                   static_cast<std::size_t>(rank_of(compression, matrix)), &q[begin_of_q]);
      begin_of_q += wide * rank;
    }
    begin += static_cast<std::size_t>(matrix.rows) * wide;
  }
}

}  // namespace

constinit const CompressorTraits kPowerSgdRow{.exchange = MessageExchange::kTwoAllReduces,
                                              .part = CompressedPart::kMean,
                                              .usual_feedback = ErrorFeedback::kPresent,
                                              .bytes = powersgd_bytes,
                                              .encode = powersgd_encode,
                                              .decode = powersgd_decode,
                                              .send = send_powersgd};

}  // namespace trainyard
