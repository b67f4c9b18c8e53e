#pragma once
// Which compressor does what, and what its kernels take.
#include "kernels/kernel_costs.hpp"
#include "sim/updates/compressors/compression.hpp"

namespace trainyard {

const CompressorTraits& compressor_traits(Compressor compressor);

// With error feedback, what was left out is read and written beside.
MessageTimes message_times(const Compression& compression, Matrices matrices, const KernelCosts& costs);

// Throws UserError where a number makes no sense.
void check(const Compression& compression);

}  // namespace trainyard
