#pragma once
// Rows of kernel benchmark tables as work that can be priced. Columns: validation/published/kernels/README.md.
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "kernels/gpu.hpp"
#include "kernels/kernel_costs.hpp"
#include "sim/base/work.hpp"
#include "validation/harness.hpp"

namespace trainyard {

enum class KernelKind { kGemm, kAttention, kMemoryBound, kGroupedGemm };
enum class AttentionPass { kForward, kBackward, kBoth };
enum class MemoryBoundKind { kElementwise, kReduction };

struct MeasuredAttention {
  Attention work;  // of the forward direction
  AttentionPass pass = AttentionPass::kForward;
  std::string kernel;  // name of the fused kernel
};
// Whether a measurement's operands could still be in the L2 cache.
enum class CacheState { kWarm, kCold };
struct MeasuredMemoryBound {
  MemoryBound work;
  MemoryBoundKind kind = MemoryBoundKind::kElementwise;
  CacheState cache = CacheState::kWarm;
};

struct MeasuredGroupedGemm {
  GroupedGemm work;
  GroupedKernel kernel = GroupedKernel::kManyStreams;
};

struct KernelMeasurement {
  std::string file;
  std::string id;
  std::string source;
  std::string gpu_name;
  std::optional<GpuSpec> gpu;  // nothing when the catalogue has no such GPU
  std::variant<Gemm, MeasuredAttention, MeasuredMemoryBound, MeasuredGroupedGemm> work;
  Seconds measured{};
  std::string skipped;        // why the row cannot be priced; empty when it can
  std::string group;          // GPU and operand format or kernel, for summaries
  std::string variant;        // what else tells two rows of one shape apart: layout, direction, notes
  std::string configuration;  // the shape alone, whatever GPU, format and source: rows of one shape share a fold

  KernelKind kind() const { return static_cast<KernelKind>(work.index()); }
};

// The rows of every file, in order: tables (CSV), whose kind follows from their columns, and the microbenchmark suite's
// output (.jsonl). `measured` is the GPU that files without a column gpu were measured on. Throws UserError for files
// that are neither or have malformed numbers.
std::vector<KernelMeasurement> read_kernel_measurements(const std::vector<std::string>& files,
                                                        const GpuSpec* measured = nullptr);

inline constexpr std::size_t kFolds = 5;
// The fold that a row belongs to: parameters of that fold were fitted to rows of the other folds only.
std::size_t fold_of(const KernelMeasurement& row);

// Parameters that one fit found.
struct FittedKernels {
  KernelCalibration calibration;
  HarnessTable harnesses;
};

// Predicted time of a row that is not skipped.
Seconds predicted_time(const KernelMeasurement& row, const FittedKernels& fitted);

// GEMM rows of fits are priced thousands of times; the plans are made once.
Seconds predicted_gemm_time(const KernelMeasurement& row, std::span<const GemmPlan> plans, FlopsPerSecond peak,
                            const GemmParameters& parameters, const HarnessParameters& harness);

// The precision family of a GEMM or attention row.
PrecisionFamily family_of(const KernelMeasurement& row);

}  // namespace trainyard
