// Casts to two bytes. Source: IEEE 754-2019, binary16; bfloat16 has fp32's exponents and 7 bits of fraction.
#include <cmath>

#include "sim/updates/compressors/rows.hpp"

namespace trainyard {
namespace {

constexpr double kHalfBytes = 2.0;

Bytes half_bytes(const Compression& /*compression*/, Matrices matrices) {
  return {kHalfBytes * count_values(matrices)};
}
std::vector<KernelWork> half_kernels(const Compression& /*compression*/, Matrices matrices) {
  return traffic((kValueBytes + kHalfBytes) * count_values(matrices));
}
void send_fp16(const Compression& /*compression*/, Matrices /*matrices*/, const MessageState& /*state*/,
               Values& values) {
  constexpr double kLargest = 65504.0;
  for (double& value : values) {
    value = rounded(value, 10, -14, kLargest);
  }
}
void send_bf16(const Compression& /*compression*/, Matrices /*matrices*/, const MessageState& /*state*/,
               Values& values) {
  const double largest = std::ldexp(2.0 - std::ldexp(1.0, -7), 127);
  for (double& value : values) {
    value = rounded(value, 7, -126, largest);
  }
}

}  // namespace

constinit const CompressorTraits kFp16Row{
    .bytes = half_bytes, .encode = half_kernels, .decode = half_kernels, .send = send_fp16};
constinit const CompressorTraits kBf16Row{
    .bytes = half_bytes, .encode = half_kernels, .decode = half_kernels, .send = send_bf16};

}  // namespace trainyard
