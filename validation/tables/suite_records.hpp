#pragma once
// The microbenchmark suite's output (validation/microbench/README.md: JSON lines) as rows that can be fitted.
#include <map>
#include <string>
#include <vector>

#include "validation/tables/measured_collective.hpp"
#include "validation/tables/measured_kernel.hpp"

namespace trainyard {

// What of a file enters a fit, and what is kept to check one with (suite_checks.hpp).
struct SuiteRecords {
  Json machines = Json::array();  // as recorded, for a profile to name
  std::vector<KernelMeasurement> kernels;
  std::vector<CollectiveMeasurement> collectives;  // their cluster is not known yet
  std::vector<Json> others;                        // launch, copy, overlap, train_step: as recorded
};

// Names under which a harness knows the suite's ways of measuring.
inline constexpr std::string_view kSuiteBurst = "trainyard microbench";
inline constexpr std::string_view kSuiteSustained = "trainyard microbench, sustained";

// Why a memory-bound record of a framework is no row of a fit: the GPU's profile says what one sweep reaches, and what
// a framework's kernels take beyond it is of the framework's profile.
inline constexpr std::string_view kFrameworkKernel =
    "a framework's kernel, which `calibrate --gpu` compares with what it fits";

// Whether a file is suite output: it begins with a record. A pipe, which is read once, is by its name (.jsonl).
bool is_suite_output(const std::string& file);

// The records of a file. How each enters a fit of kernels:
// - gemm: cold bursts and sustained runs, these with the clock they held (sustained_clocks.hpp); warm bursts where
//   operands and result exceed the L2 cache, so that warm means nothing. In fp8 the recipe of training: forward with
//   fast accumulation, gradients without; the others are skipped rows.
// - gemm with scales of blocks: as that format; by rows: skipped.
// - grouped_gemm and attention: as rows. Kernels launched one by one count where they last longer than a launch.
// - membound: cold ones are priced from memory whatever their size, warm ones as the model has it; a framework's (those
//   that say who launched them) are skipped rows.
// - convolution: rows, which no profile is fitted to (validation/fit/fit_convolutions.hpp).
// - copy within the device: a memory-bound row that reads and writes.
// - A row faster than the GPU's peak or its memory, or of a kernel whose check was wrong, is skipped with that reason.
// Throws UserError naming the line for what is no record, for machines that are not `gpu` (compute capability and
// multiprocessors decide) and for measurements that no machine record precedes.
SuiteRecords read_suite(const std::string& file, const GpuSpec* gpu);

}  // namespace trainyard
