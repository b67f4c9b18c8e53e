// Each value is -1, 0 or 1 times the largest magnitude of its layer, drawn so that the mean is the value. Source: Wen
// et al., "TernGrad", NIPS 2017, arXiv 1705.07878, equations 2 and 3, layer-wise (section 4.1); without its clipping,
// which biases.
#include <algorithm>
#include <cmath>

#include "sim/updates/compressors/rows.hpp"

namespace trainyard {
namespace {

constexpr double kTernaryBytes = 2.0 / 8.0;

Bytes ternary_bytes(const Compression& /*compression*/, Matrices matrices) {
  return {kTernaryBytes * count_values(matrices) + kValueBytes * static_cast<double>(matrices.size())};
}
// Largest magnitudes first.
std::vector<KernelWork> ternary_encode(const Compression& /*compression*/, Matrices matrices) {
  return traffic((2.0 * kValueBytes + kTernaryBytes) * count_values(matrices));
}
std::vector<KernelWork> ternary_decode(const Compression& /*compression*/, Matrices matrices) {
  return traffic((2.0 * kValueBytes + kTernaryBytes) * count_values(matrices));
}

void send_ternary(const Compression& /*compression*/, Matrices matrices, const MessageState& state, Values& values) {
  std::size_t begin = 0;
  for (const MatrixShape& matrix : matrices) {
    const std::size_t end = begin + static_cast<std::size_t>(matrix.rows * matrix.columns);
    double largest = 0.0;
    for (std::size_t i = begin; i < end; ++i) {
      largest = std::max(largest, std::abs(values[i]));
    }
    for (std::size_t i = begin; i < end; ++i) {
      const bool is_kept = state.drawn.of(i).uniform() * largest < std::abs(values[i]);
      values[i] = is_kept ? std::copysign(largest, values[i]) : 0.0;
    }
    begin = end;
  }
}

}  // namespace

constinit const CompressorTraits kTernGradRow{.exchange = MessageExchange::kAllGather,
                                              .bytes = ternary_bytes,
                                              .encode = ternary_encode,
                                              .decode = ternary_decode,
                                              .send = send_ternary};

}  // namespace trainyard
