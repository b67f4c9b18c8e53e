#pragma once
// The compressors, and what they have in common.
#include "sim/updates/compressors/compression.hpp"

namespace trainyard {

extern const CompressorTraits kNoCompressionRow;
extern const CompressorTraits kFp16Row;
extern const CompressorTraits kBf16Row;
extern const CompressorTraits kTopKRow;
extern const CompressorTraits kRandomKRow;
extern const CompressorTraits kThresholdRow;
extern const CompressorTraits kQsgdRow;
extern const CompressorTraits kTernGradRow;
extern const CompressorTraits kPowerSgdRow;
extern const CompressorTraits kOneBitAdamRow;

inline constexpr double kValueBytes = 4.0;  // fp32
inline constexpr double kIndexBytes = 4.0;

// Passes over all values and over those that are kept, in bytes of each.
std::vector<KernelWork> traffic(double bytes);

// How many values a message of top-k or random-k has: one at least.
std::size_t kept_values(const Compression& compression, std::size_t values);

// To the nearest number of a binary format, ties to even; beyond its largest to infinity. `fraction` are the bits
// behind the leading one, `least_exponent` that of the smallest normal number.
double rounded(double value, int fraction, int least_exponent, double largest);

// Every value the root mean square of all, with its sign. Zero counts as positive.
void send_signs(Values& values);

}  // namespace trainyard
