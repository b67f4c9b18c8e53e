#include "validation/microbench/reference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "validation/microbench/dropout_mask.hpp"

namespace trainyard::reference {

Values layer_norm(std::span<const double> x, std::span<const double> gain, std::span<const double> bias,
                  double epsilon) {
  const std::size_t width = gain.size();
  Values out(x.size());
  for (std::size_t row = 0; row < x.size(); row += width) {
    double mean = 0.0;
    for (std::size_t i = 0; i < width; ++i) {
      mean += x[row + i] / static_cast<double>(width);
    }
    double variance = 0.0;
    for (std::size_t i = 0; i < width; ++i) {
      variance += (x[row + i] - mean) * (x[row + i] - mean) / static_cast<double>(width);
    }
    for (std::size_t i = 0; i < width; ++i) {
      out[row + i] = (x[row + i] - mean) / std::sqrt(variance + epsilon) * gain[i] + bias[i];
    }
  }
  return out;
}

Values rms_norm(std::span<const double> x, std::span<const double> gain, double epsilon) {
  const std::size_t width = gain.size();
  Values out(x.size());
  for (std::size_t row = 0; row < x.size(); row += width) {
    double squares = 0.0;
    for (std::size_t i = 0; i < width; ++i) {
      squares += x[row + i] * x[row + i] / static_cast<double>(width);
    }
    for (std::size_t i = 0; i < width; ++i) {
      out[row + i] = x[row + i] / std::sqrt(squares + epsilon) * gain[i];
    }
  }
  return out;
}

Values causal_softmax(std::span<const double> x, std::size_t columns, double scale) {
  Values out(x.size(), 0.0);
  for (std::size_t row = 0; row * columns < x.size(); ++row) {
    const std::size_t seen = row % columns + 1;
    const double* in = x.data() + row * columns;
    const double largest = *std::max_element(in, in + seen) * scale;
    double total = 0.0;
    for (std::size_t i = 0; i < seen; ++i) {
      out[row * columns + i] = std::exp(in[i] * scale - largest);
      total += out[row * columns + i];
    }
    for (std::size_t i = 0; i < seen; ++i) {
      out[row * columns + i] /= total;
    }
  }
  return out;
}

Values gelu(std::span<const double> x) {
  Values out;
  for (const double v : x) {
    const double inner = std::sqrt(2.0 * std::numbers::inv_pi) * (v + 0.044715 * v * v * v);
    out.push_back(0.5 * v * (1.0 + std::tanh(inner)));
  }
  return out;
}

Values swiglu(std::span<const double> x, std::size_t half) {
  Values out;
  for (std::size_t row = 0; row < x.size(); row += 2 * half) {
    for (std::size_t i = 0; i < half; ++i) {
      const double gate = x[row + i];
      out.push_back(gate / (1.0 + std::exp(-gate)) * x[row + half + i]);
    }
  }
  return out;
}

Values residual_dropout(std::span<const double> x, std::span<const double> residual, double probability,
                        std::uint32_t seed) {
  Values out(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool kept = dropout_keeps(seed, static_cast<std::uint32_t>(i), dropout_threshold(probability));
    out[i] = residual[i] + (kept ? x[i] / (1.0 - probability) : 0.0);
  }
  return out;
}

Values rotary(std::span<const double> x, std::size_t heads, std::size_t dimension, double base) {
  Values out(x.size());
  const std::size_t half = dimension / 2;
  for (std::size_t at = 0; at < x.size(); at += dimension) {
    const std::size_t token = at / dimension / heads;
    const auto position = static_cast<double>(token);
    for (std::size_t i = 0; i < half; ++i) {
      const double angle = position * std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(dimension));
      out[at + i] = x[at + i] * std::cos(angle) - x[at + half + i] * std::sin(angle);
      out[at + half + i] = x[at + half + i] * std::cos(angle) + x[at + i] * std::sin(angle);
    }
  }
  return out;
}

CrossEntropy cross_entropy(std::span<const double> logits, std::span<const int> labels, std::size_t vocabulary) {
  CrossEntropy out;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    const double* in = logits.data() + row * vocabulary;
    const double largest = *std::max_element(in, in + vocabulary);
    double total = 0.0;
    for (std::size_t i = 0; i < vocabulary; ++i) {
      total += std::exp(in[i] - largest);
    }
    const auto label = static_cast<std::size_t>(labels[row]);
    out.loss.push_back(largest + std::log(total) - in[label]);
    for (std::size_t i = 0; i < vocabulary; ++i) {
      out.gradient.push_back(std::exp(in[i] - largest) / total - (i == label ? 1.0 : 0.0));
    }
  }
  return out;
}

Values gather_rows(std::span<const double> table, std::span<const int> rows, std::size_t width) {
  Values out;
  for (const int row : rows) {
    const auto source = table.subspan(static_cast<std::size_t>(row) * width, width);
    out.insert(out.end(), source.begin(), source.end());
  }
  return out;
}

Values scatter_add(std::span<const double> table, std::span<const int> rows, std::span<const double> added,
                   std::size_t width) {
  Values out(table.begin(), table.end());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t j = 0; j < width; ++j) {
      out[static_cast<std::size_t>(rows[i]) * width + j] += added[i * width + j];
    }
  }
  return out;
}

Values permute_heads(std::span<const double> x, std::size_t batch, std::size_t sequence, std::size_t heads,
                     std::size_t dimension) {
  Values out(x.size());
  for (std::size_t b = 0; b < batch; ++b) {
    for (std::size_t s = 0; s < sequence; ++s) {
      for (std::size_t h = 0; h < heads; ++h) {
        for (std::size_t d = 0; d < dimension; ++d) {
          out[((b * heads + h) * sequence + s) * dimension + d] = x[((b * sequence + s) * heads + h) * dimension + d];
        }
      }
    }
  }
  return out;
}

AdamState adam(const AdamState& state, std::span<const double> gradient, const AdamOptions& options) {
  AdamState out = state;
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    out.first[i] = options.beta1 * state.first[i] + (1.0 - options.beta1) * gradient[i];
    out.second[i] = options.beta2 * state.second[i] + (1.0 - options.beta2) * gradient[i] * gradient[i];
    const double first = out.first[i] / (1.0 - std::pow(options.beta1, options.step));
    const double second = out.second[i] / (1.0 - std::pow(options.beta2, options.step));
    const double move = first / (std::sqrt(second) + options.epsilon) + options.decay * state.parameter[i];
    out.parameter[i] = state.parameter[i] - options.rate * move;
  }
  return out;
}

double norm(std::span<const double> x) {
  double squares = 0.0;
  for (const double v : x) {
    squares += v * v;
  }
  return std::sqrt(squares);
}

Values gemm(const GemmOperands& operands, const Gemm& work, std::span<const double> before) {
  Values out(before.begin(), before.end());
  const auto m = static_cast<std::size_t>(work.m);
  const auto n = static_cast<std::size_t>(work.n);
  const auto k = static_cast<std::size_t>(work.k);
  const bool left_rows = operands.left_order == Order::kRows;
  const bool right_rows = operands.right_order == Order::kRows;
  for (std::size_t batch = 0; batch < static_cast<std::size_t>(work.batch); ++batch) {
    const auto left = operands.left.subspan(batch * m * k, m * k);
    const auto right = operands.right.subspan(batch * k * n, k * n);
    for (std::size_t row = 0; row < m; ++row) {
      for (std::size_t column = 0; column < n; ++column) {
        double sum = 0.0;
        for (std::size_t i = 0; i < k; ++i) {
          sum += left[left_rows ? row * k + i : i * m + row] * right[right_rows ? i * n + column : column * k + i];
        }
        out[(batch * m + row) * n + column] += sum;
      }
    }
  }
  return out;
}

double relative_error(std::span<const double> results, std::span<const double> expected, std::size_t width) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (results.size() != expected.size() || width == 0) {
    return kInfinite;
  }
  double worst = 0.0;
  for (std::size_t begin = 0; begin < expected.size(); begin += width) {
    double difference = 0.0;
    double size = 0.0;
    for (std::size_t i = begin; i < std::min(begin + width, expected.size()); ++i) {
      difference += (results[i] - expected[i]) * (results[i] - expected[i]);
      size += expected[i] * expected[i];
    }
    const double error = difference == 0.0 ? 0.0 : std::sqrt(difference / size);
    worst = std::isfinite(error) ? std::max(worst, error) : kInfinite;
  }
  return worst;
}

}  // namespace trainyard::reference
