// Each value is its sign and a level of s = 2^(bits - 1) - 1 above zero, times the norm of its bucket, drawn so that
// the mean is the value. Source: Alistarh et al., "QSGD", NIPS 2017, arXiv 1610.02132, section 3 (levels of fixed
// length; the paper's Elias code is not here).
#include <algorithm>
#include <cmath>

#include "sim/updates/compressors/rows.hpp"

namespace trainyard {
namespace {

constexpr double kBitsOfByte = 8.0;

Bytes qsgd_bytes(const Compression& compression, Matrices matrices) {
  const double values = count_values(matrices);
  return {values * compression.bits / kBitsOfByte + kValueBytes * std::ceil(values / compression.bucket)};
}
// Norms first, then levels.
std::vector<KernelWork> qsgd_encode(const Compression& compression, Matrices matrices) {
  return traffic((2.0 * kValueBytes + compression.bits / kBitsOfByte) * count_values(matrices));
}
std::vector<KernelWork> qsgd_decode(const Compression& compression, Matrices matrices) {
  return traffic((2.0 * kValueBytes + compression.bits / kBitsOfByte) * count_values(matrices));
}

void send_qsgd(const Compression& compression, Matrices /*matrices*/, const MessageState& state, Values& values) {
  const double levels = std::ldexp(1.0, compression.bits - 1) - 1.0;
  const auto bucket = static_cast<std::size_t>(compression.bucket);
  for (std::size_t begin = 0; begin < values.size(); begin += bucket) {
    const std::size_t end = std::min(values.size(), begin + bucket);
    double squares = 0.0;
    for (std::size_t i = begin; i < end; ++i) {
      squares += values[i] * values[i];
    }
    const double norm = std::sqrt(squares);
    for (std::size_t i = begin; i < end && norm > 0.0; ++i) {
      const double level = std::abs(values[i]) / norm * levels;
      const double below = std::floor(level);
      const double drawn = below + (state.drawn.of(i).uniform() < level - below ? 1.0 : 0.0);
      values[i] = std::copysign(norm * drawn / levels, values[i]);
    }
  }
}

}  // namespace

constinit const CompressorTraits kQsgdRow{.exchange = MessageExchange::kAllGather,
                                          .bytes = qsgd_bytes,
                                          .encode = qsgd_encode,
                                          .decode = qsgd_decode,
                                          .send = send_qsgd};

}  // namespace trainyard
