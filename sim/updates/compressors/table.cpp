#include "sim/updates/compressors/table.hpp"

#include <fmt/format.h>

#include <array>

#include "sim/updates/compressors/demand.hpp"
#include "sim/updates/compressors/rows.hpp"

namespace trainyard {
namespace {

// In the order of Compressor.
constexpr std::array<const CompressorTraits*, kCompressorNames.rows.size()> kCompressors = {
    &kNoCompressionRow, &kFp16Row, &kBf16Row,     &kTopKRow,     &kRandomKRow,
    &kThresholdRow,     &kQsgdRow, &kTernGradRow, &kPowerSgdRow, &kOneBitAdamRow};

}  // namespace

const CompressorTraits& compressor_traits(Compressor compressor) {
  return *kCompressors[static_cast<std::size_t>(compressor)];
}

MessageTimes message_times(const Compression& compression, Matrices matrices, const KernelCosts& costs) {
  const CompressorTraits& traits = compressor_traits(compression.compressor);
  MessageTimes out;
  for (const KernelWork& work : traits.encode(compression, matrices)) {
    out.encode += costs.time(work);
  }
  for (const KernelWork& work : traits.decode(compression, matrices)) {
    out.decode += costs.time(work);
  }
  if (compression.feedback == ErrorFeedback::kPresent) {
    // What was left out is added to the values, then what was sent is taken from their sum: two read, one written.
    constexpr double kPasses = 3.0;
    out.encode += 2.0 * costs.memory_bound({.traffic = {kPasses * kValueBytes * count_values(matrices)}});
  }
  return out;
}

void check(const Compression& compression) {
  demand(compression.kept > 0.0 && compression.kept <= 1.0, "--keep", fmt::format("{}", compression.kept),
         "more than 0, at most 1", "a message would have no values, or more than there are");
  demand(compression.threshold >= 0.0, "--threshold", fmt::format("{}", compression.threshold), "0 or more",
         "magnitudes are not negative");
  demand(compression.bits >= 2 && compression.bits <= 32, "--bits", fmt::format("{}", compression.bits), "2 to 32",
         "a value needs its sign and a bit");
  demand(compression.bucket >= 1, "--bucket", fmt::format("{}", compression.bucket), "1 or more",
         "a norm needs values");
  demand(compression.rank >= 1, "--rank", fmt::format("{}", compression.rank), "1 or more",
         "factors without columns say nothing");
  demand(compression.warm_up >= 1, "--warm-up", fmt::format("{}", compression.warm_up), "1 or more",
         "the variance would stay nothing, by which momenta are divided");
}

}  // namespace trainyard
