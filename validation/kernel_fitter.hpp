#pragma once
// One fit of all kernel models to a set of rows.
#include <map>
#include <string>
#include <vector>

#include "validation/harness.hpp"
#include "validation/kernel_measurements.hpp"

namespace trainyard {

using MeasurementRows = std::vector<const KernelMeasurement*>;

inline constexpr std::size_t kFewestRows = 12;  // fewer rows do not make a fit

// Fits every section of `start` that the rows say something about and leaves the others. Rows are not skipped ones.
// Deterministic.
FittedKernels fit_to_rows(const MeasurementRows& rows, FittedKernels start,
                          const std::map<std::string, Harness>& harnesses);

}  // namespace trainyard
