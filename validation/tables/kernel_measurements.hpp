#pragma once
// Rows of kernel benchmark tables as work that can be priced. Columns: validation/published/kernels/README.md.
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "kernels/convolution_model.hpp"
#include "kernels/gpu.hpp"
#include "kernels/kernel_costs.hpp"
#include "sim/base/work.hpp"
#include "validation/tables/harness.hpp"
#include "validation/tables/measured_kernel.hpp"

namespace trainyard {

// The rows of every file, in order: tables (CSV), whose kind follows from their columns, and the microbenchmark suite's
// output (.jsonl). `measured` is the GPU that files without a column gpu were measured on. Throws UserError for files
// that are neither or have malformed numbers.
std::vector<KernelMeasurement> read_kernel_measurements(const std::vector<std::string>& files,
                                                        const GpuSpec* measured = nullptr);

inline constexpr std::size_t kFolds = 5;
// The fold that a row belongs to: parameters of that fold were fitted to rows of the other folds only.
std::size_t fold_of(const KernelMeasurement& row);

// Of every kind of units, in their order; nothing where they are the model's own.
using FittedConvolutions = std::array<std::optional<ConvolutionParameters>, kConvolutionUnits>;

// Parameters that one fit found.
struct FittedKernels {
  KernelCalibration calibration;
  HarnessTable harnesses;
  FittedConvolutions convolutions;
};

// Predicted time of a row that is not skipped.
Seconds predicted_time(const KernelMeasurement& row, const FittedKernels& fitted);

// GEMM rows of fits are priced thousands of times; the plans are made once.
Seconds predicted_gemm_time(const KernelMeasurement& row, std::span<const GemmPlan> plans, FlopsPerSecond peak,
                            const GemmParameters& parameters, const HarnessParameters& harness);

// The precision family of a GEMM or attention row.
PrecisionFamily family_of(const KernelMeasurement& row);

}  // namespace trainyard
