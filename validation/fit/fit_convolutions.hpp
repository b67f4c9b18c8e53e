#pragma once
// Parameters of the convolution model, from measured convolutions.
#include <cstddef>
#include <optional>
#include <vector>

#include "validation/tables/kernel_measurements.hpp"

namespace trainyard {

// The measurements that the model's own parameters are fitted to: of ordinary cores the published ones of GPUs that
// have no others (Maxwell, Pascal), of tensor cores and of what stands beside them this project's of 60 us and more,
// none with a copy between layouts. Empty in a tree without validation/.
std::vector<KernelMeasurement> convolution_measurements();

// By coordinates: each row belongs to the way that is its fastest, each parameter becomes the median of measured over
// modelled time of its rows, every GPU counting alike, until no row changes its way. Of `start`, ways that do not exist
// (zero) stay so. Rows of other units, and those of the fold that is left out, are not seen.
ConvolutionParameters fit_convolutions(const std::vector<KernelMeasurement>& rows, ConvolutionUnits units,
                                       const ConvolutionParameters& start, std::optional<std::size_t> left_out);

// All units, fitted without a fold.
FittedConvolutions fit_convolutions(const std::vector<KernelMeasurement>& rows, std::optional<std::size_t> left_out);

}  // namespace trainyard
