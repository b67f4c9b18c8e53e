#include "sim/updates/compressors/rows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace trainyard {

std::vector<KernelWork> traffic(double bytes) {
  return {MemoryBound{.traffic = {bytes}}};
}

std::size_t kept_values(const Compression& compression, std::size_t values) {
  const double asked = std::round(compression.kept * static_cast<double>(values));
  return std::clamp(static_cast<std::size_t>(asked), std::min<std::size_t>(1, values), values);
}

double rounded(double value, int fraction, int least_exponent, double largest) {
  if (value == 0.0 || !std::isfinite(value)) {
    return value;
  }
  const int exponent = std::max(std::ilogb(value), least_exponent);
  const double step = std::ldexp(1.0, exponent - fraction);
  const double out = std::nearbyint(value / step) * step;
  return std::abs(out) > largest ? std::copysign(std::numeric_limits<double>::infinity(), value) : out;
}

void send_signs(Values& values) {
  double squares = 0.0;
  for (const double value : values) {
    squares += value * value;
  }
  const double scale = values.empty() ? 0.0 : std::sqrt(squares / static_cast<double>(values.size()));
  for (double& value : values) {
    value = value < 0.0 ? -scale : scale;
  }
}

namespace {

Bytes whole_bytes(const Compression& /*compression*/, Matrices matrices) {
  return {kValueBytes * count_values(matrices)};
}
std::vector<KernelWork> no_kernels(const Compression& /*compression*/, Matrices /*matrices*/) {
  return {};
}
void send_whole(const Compression& /*compression*/, Matrices /*matrices*/, const MessageState& /*state*/,
                Values& /*values*/) {}

}  // namespace

constinit const CompressorTraits kNoCompressionRow{
    .bytes = whole_bytes, .encode = no_kernels, .decode = no_kernels, .send = send_whole};

}  // namespace trainyard
