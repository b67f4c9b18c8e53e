// Signs of the momentum times one scale, which keeps its norm, from workers to the one that averages a chunk and back:
// two all-to-alls that take as long as a ring. Source: Tang et al., "1-bit Adam", ICML 2021, arXiv 2102.02888,
// algorithm 1 and section 5.
#include "sim/updates/compressors/rows.hpp"

namespace trainyard {
namespace {

constexpr double kBitBytes = 1.0 / 8.0;

Bytes sign_bytes(const Compression& /*compression*/, Matrices matrices) {
  return {kBitBytes * count_values(matrices) + kValueBytes};
}
// The norm first; a chunk that is averaged is a message once more, of all chunks together as large as one.
std::vector<KernelWork> sign_encode(const Compression& /*compression*/, Matrices matrices) {
  return traffic((2.0 * kValueBytes + kBitBytes) * count_values(matrices));
}
std::vector<KernelWork> sign_decode(const Compression& /*compression*/, Matrices matrices) {
  return traffic(2.0 * (kValueBytes + kBitBytes) * count_values(matrices));
}
void send_momentum_signs(const Compression& /*compression*/, Matrices /*matrices*/, const MessageState& /*state*/,
                         Values& values) {
  send_signs(values);
}

}  // namespace

constinit const CompressorTraits kOneBitAdamRow{.part = CompressedPart::kMomentum,
                                                .usual_feedback = ErrorFeedback::kPresent,
                                                .bytes = sign_bytes,
                                                .encode = sign_encode,
                                                .decode = sign_decode,
                                                .send = send_momentum_signs};

}  // namespace trainyard
