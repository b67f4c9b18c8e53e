// Values of a magnitude of the threshold or more, with their places; how many those are the gradients decide. Source:
// Dutta et al., "On the discrepancy between the theoretical analysis and practical implementations of compressed
// communication for distributed deep learning", AAAI 2020, arXiv 1911.08250 (hard threshold).
#include <cmath>

#include "sim/updates/compressors/rows.hpp"

namespace trainyard {
namespace {

Bytes threshold_bytes(const Compression& compression, Matrices matrices) {
  return {(kValueBytes + kIndexBytes) * compression.kept * count_values(matrices)};
}
std::vector<KernelWork> threshold_encode(const Compression& compression, Matrices matrices) {
  return traffic((kValueBytes + (kValueBytes + kIndexBytes) * compression.kept) * count_values(matrices));
}
std::vector<KernelWork> threshold_decode(const Compression& compression, Matrices matrices) {
  return traffic((3.0 * kValueBytes + kIndexBytes) * compression.kept * count_values(matrices));
}
void send_threshold(const Compression& compression, Matrices /*matrices*/, const MessageState& /*state*/,
                    Values& values) {
  for (double& value : values) {
    value = std::abs(value) < compression.threshold ? 0.0 : value;
  }
}

}  // namespace

constinit const CompressorTraits kThresholdRow{.exchange = MessageExchange::kAllGather,
                                               .usual_feedback = ErrorFeedback::kPresent,
                                               .bytes = threshold_bytes,
                                               .encode = threshold_encode,
                                               .decode = threshold_decode,
                                               .send = send_threshold};

}  // namespace trainyard
