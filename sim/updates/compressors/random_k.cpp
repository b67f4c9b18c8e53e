// Values of places that all workers draw from one seed, so that messages need no places and may be added up. With error
// feedback as they are, without it scaled by n / k, which makes them unbiased. Source: Stich, Cordonnier, Jaggi,
// "Sparsified SGD with memory", NeurIPS 2018, arXiv 1809.07599.
#include <numeric>
#include <utility>

#include "sim/updates/compressors/rows.hpp"

namespace trainyard {
namespace {

// What a lone value costs of the memory bus: a sector. Source: NVIDIA, "CUDA C++ best practices guide", coalesced
// access.
constexpr double kSectorBytes = 32.0;

Bytes random_k_bytes(const Compression& compression, Matrices matrices) {
  return {kValueBytes * compression.kept * count_values(matrices)};
}
std::vector<KernelWork> random_k_encode(const Compression& compression, Matrices matrices) {
  return traffic((kSectorBytes + kValueBytes) * compression.kept * count_values(matrices));
}
std::vector<KernelWork> random_k_decode(const Compression& compression, Matrices matrices) {
  return traffic((kValueBytes + 2.0 * kSectorBytes) * compression.kept * count_values(matrices));
}

void send_random_k(const Compression& compression, Matrices /*matrices*/, const MessageState& state, Values& values) {
  const std::size_t kept = kept_values(compression, values.size());
  std::vector<std::size_t> places(values.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  for (std::size_t place = 0; place < kept; ++place) {
    const double left = static_cast<double>(places.size() - place);
    std::swap(places[place], places[place + static_cast<std::size_t>(state.drawn.of(place).uniform() * left)]);
  }
  const double scale = compression.feedback == ErrorFeedback::kPresent
                           ? 1.0
                           : static_cast<double>(values.size()) / static_cast<double>(kept);
  Values out(values.size());
  for (std::size_t place = 0; place < kept; ++place) {
    out[places[place]] = scale * values[places[place]];
  }
  values = std::move(out);
}

}  // namespace

constinit const CompressorTraits kRandomKRow{.usual_feedback = ErrorFeedback::kPresent,
                                             .bytes = random_k_bytes,
                                             .encode = random_k_encode,
                                             .decode = random_k_decode,
                                             .send = send_random_k};

}  // namespace trainyard
