// The values of the largest magnitudes with their places. Source: Aji and Heafield, EMNLP 2017, arXiv 1704.05021; Lin
// et al., "Deep gradient compression", ICLR 2018, arXiv 1712.01887 (whose momentum correction is not here).
#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/updates/compressors/rows.hpp"

namespace trainyard {
namespace {

Bytes top_k_bytes(const Compression& compression, Matrices matrices) {
  return {(kValueBytes + kIndexBytes) * compression.kept * count_values(matrices)};
}

// The k-th largest is found digit by digit, then values are gathered. Source: PyTorch
// aten/src/ATen/native/cuda/TensorTopK.cu (mbtopk: radix select, 8 bits in a pass).
std::vector<KernelWork> top_k_encode(const Compression& compression, Matrices matrices) {
  constexpr double kPasses = 4.0;
  const double values = count_values(matrices);
  return traffic(((kPasses + 1.0) * kValueBytes + (kValueBytes + kIndexBytes) * compression.kept) * values);
}

// Each kept value with its place is read, and the one of its place read and written.
std::vector<KernelWork> top_k_decode(const Compression& compression, Matrices matrices) {
  return traffic((3.0 * kValueBytes + kIndexBytes) * compression.kept * count_values(matrices));
}

// Of equal magnitudes the first.
void send_top_k(const Compression& compression, Matrices /*matrices*/, const MessageState& /*state*/, Values& values) {
  std::vector<std::size_t> places(values.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  const auto kept = static_cast<std::ptrdiff_t>(kept_values(compression, values.size()));
  std::nth_element(places.begin(), places.begin() + kept, places.end(), [&](std::size_t a, std::size_t b) {
    const double first = std::abs(values[a]);
    const double second = std::abs(values[b]);
    return first != second ? first > second : a < b;
  });
  for (auto place = places.begin() + kept; place != places.end(); ++place) {
    values[*place] = 0.0;
  }
}

}  // namespace

constinit const CompressorTraits kTopKRow{.exchange = MessageExchange::kAllGather,
                                          .usual_feedback = ErrorFeedback::kPresent,
                                          .bytes = top_k_bytes,
                                          .encode = top_k_encode,
                                          .decode = top_k_decode,
                                          .send = send_top_k};

}  // namespace trainyard
