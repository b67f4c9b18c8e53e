#pragma once
// One fit of all kernel models to a set of rows.
#include <map>
#include <string>
#include <vector>

#include "validation/tables/harness.hpp"
#include "validation/tables/kernel_measurements.hpp"

namespace trainyard {

using MeasurementRows = std::vector<const KernelMeasurement*>;

// Fewer rows do not make a fit: two for each of the six parameters that a GEMM's time has at least (more of them are
// turned when there are more rows), four for each of three of attention's, three for the one of memory-bound kernels.
inline constexpr std::size_t kFewestRows = 12;
inline constexpr std::size_t kFewestMemoryBoundRows = 3;

// Fits every section of `start` that the rows say something about and leaves the others. Rows are not skipped ones.
// Deterministic.
FittedKernels fit_to_rows(const MeasurementRows& rows, FittedKernels start,
                          const std::map<std::string, Harness>& harnesses);

}  // namespace trainyard
