#pragma once
// A measured kernel as work that can be priced.
#include <optional>
#include <string>
#include <variant>

#include "kernels/gpu.hpp"
#include "kernels/grouped_kernel.hpp"
#include "sim/base/work.hpp"

namespace trainyard {

enum class KernelKind { kGemm, kAttention, kMemoryBound, kGroupedGemm, kConvolution };
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
  std::variant<Gemm, MeasuredAttention, MeasuredMemoryBound, MeasuredGroupedGemm, Convolution> work;
  Seconds measured{};
  std::string skipped;        // why the row cannot be priced; empty when it can
  std::string group;          // GPU and operand format or kernel, for summaries
  std::string variant;        // what else tells two rows of one shape apart: layout, direction, notes
  std::string configuration;  // the shape alone, whatever GPU, format and source: rows of one shape share a fold

  KernelKind kind() const { return static_cast<KernelKind>(work.index()); }
};

// The work of a convolution's row, with its group and its shape: all passes and layouts of one share a fold.
void describe_convolution(const Convolution& work, KernelMeasurement& out);

}  // namespace trainyard
