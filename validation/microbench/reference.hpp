#pragma once
// What the suite's memory-bound kernels should compute, in double precision on the CPU. Matrices are row-major.
#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/work.hpp"

namespace trainyard::reference {

using Values = std::vector<double>;

// (x - mean) / sqrt(variance + epsilon) * gain + bias over rows of gain.size(); variance divides by the row's length.
Values layer_norm(std::span<const double> x, std::span<const double> gain, std::span<const double> bias,
                  double epsilon);
// x / sqrt(mean of squares + epsilon) * gain over rows of gain.size(). Source: arXiv 1910.07467, equation 4.
Values rms_norm(std::span<const double> x, std::span<const double> gain, double epsilon);
// Softmax of scale * x over rows of `columns`; in row r of every `columns` rows, columns beyond r are masked out.
Values causal_softmax(std::span<const double> x, std::size_t columns, double scale);
// 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). Source: arXiv 1606.08415, section 2.
Values gelu(std::span<const double> x);
// x[:, :half] * sigmoid(x[:, :half]) * x[:, half:] of rows of 2 half. Source: arXiv 2002.05202, equation 6.
Values swiglu(std::span<const double> x, std::size_t half);
// residual + (kept ? x / (1 - probability) : 0), where dropout_keeps says what is kept.
Values residual_dropout(std::span<const double> x, std::span<const double> residual, double probability,
                        std::uint32_t seed);
// Rows [position, head, dimension]: the pair (i, i + dimension/2) turns by position * base^(-2 i / dimension).
// Source: arXiv 2104.09864, equation 15, with the halves paired as Hugging Face's Llama does.
Values rotary(std::span<const double> x, std::size_t heads, std::size_t dimension, double base);
struct CrossEntropy {
  Values loss;      // per row
  Values gradient;  // of the sum of the losses by the logits
};
CrossEntropy cross_entropy(std::span<const double> logits, std::span<const int> labels, std::size_t vocabulary);
Values gather_rows(std::span<const double> table, std::span<const int> rows, std::size_t width);
// table with every row of `added` added to row rows[i].
Values scatter_add(std::span<const double> table, std::span<const int> rows, std::span<const double> added,
                   std::size_t width);
// [batch, sequence, heads, dimension] to [batch, heads, sequence, dimension].
Values permute_heads(std::span<const double> x, std::size_t batch, std::size_t sequence, std::size_t heads,
                     std::size_t dimension);

// How a matrix lies in memory: its rows contiguous, or its columns.
enum class Order { kRows, kColumns };
struct GemmOperands {
  std::span<const double> left;   // batch x m x k
  std::span<const double> right;  // batch x k x n
  Order left_order = Order::kRows;
  Order right_order = Order::kRows;
};
// before + left right, batch x m x n by rows.
Values gemm(const GemmOperands& operands, const Gemm& work, std::span<const double> before);

// How far results are from a reference: the Euclidean norm of the difference over that of the reference, of the worst
// run of `width` elements. A row of zeros must be met exactly. Infinite for what is not finite and for unequal sizes.
double relative_error(std::span<const double> results, std::span<const double> expected, std::size_t width);

struct AdamState {
  Values parameter;
  Values first;   // running mean of gradients
  Values second;  // running mean of their squares
};
struct AdamOptions {
  double rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double decay = 0.1;
  int step = 1;
};
// One step of AdamW. Source: arXiv 1711.05101, algorithm 2 with a constant schedule.
AdamState adam(const AdamState& state, std::span<const double> gradient, const AdamOptions& options);
// Square root of the sum of squares.
double norm(std::span<const double> x);

}  // namespace trainyard::reference
