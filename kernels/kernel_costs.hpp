#pragma once
// The price of a kernel on one GPU that runs nothing else.
#include <memory>
#include <string>
#include <variant>

#include "kernels/grouped_kernel.hpp"
#include "sim/base/quantity.hpp"
#include "sim/base/work.hpp"

namespace trainyard {

struct GpuSpec;

// How a kernel's device time grows beside work that takes part of the GPU: with h of N SMs held and a share b of the
// memory bandwidth taken by others it is longer by multiprocessors (N / (N - h) - 1) + memory (1 / (1 - b) - 1).
struct KernelSensitivity {
  Seconds multiprocessors{};
  Seconds memory{};
};

// One of the house's two virtual interfaces. Times are device times of one kernel launch in a busy stream: they include
// the fixed cost of starting a kernel on the device, not the host's launch call. Pure: same work, same bits.
class KernelCosts {
 public:
  virtual ~KernelCosts() = default;
  virtual Seconds gemm(const Gemm& work) const = 0;
  virtual Seconds grouped_gemm(const GroupedGemm& work) const = 0;
  virtual Seconds attention(const Attention& work) const = 0;
  virtual Seconds convolution(const Convolution& work) const = 0;
  virtual Seconds memory_bound(const MemoryBound& work) const = 0;
  // None unless the model knows.
  virtual KernelSensitivity sensitivity(const KernelWork& /*work*/) const { return {}; }

  Seconds time(const KernelWork& work) const {
    return std::visit(
        [this](const auto& concrete) {
          using Work = std::decay_t<decltype(concrete)>;
          if constexpr (std::is_same_v<Work, Gemm>) {
            return gemm(concrete);
          } else if constexpr (std::is_same_v<Work, GroupedGemm>) {
            return grouped_gemm(concrete);
          } else if constexpr (std::is_same_v<Work, Attention>) {
            return attention(concrete);
          } else if constexpr (std::is_same_v<Work, Convolution>) {
            return convolution(concrete);
          } else {
            return memory_bound(concrete);
          }
        },
        work);
  }
};

// Short bursts run at the boost clock; hours of training at GpuSpec::sustained_clock_ratio of it.
enum class Sustained { kNo, kYes };

struct KernelCostOptions {
  Sustained sustained = Sustained::kNo;
  // The fused attention kernel, by the name the calibration profile uses ("FlashAttention-2", "FlashAttention-3",
  // "cuDNN", ...). Empty, or one that was never measured on the GPU, means the profile's default.
  std::string attention_kernel{};
  GroupedKernel grouped_kernel = GroupedKernel::kManyStreams;
};

// The calibrated model of a catalogue GPU: the profile kernels/calibration/<GpuSpec::calibration>.json where there is
// one, else the profile of the same architecture, else of any GPU; efficiencies carry over, peaks are the GPU's own.
std::unique_ptr<KernelCosts> calibrated_kernel_costs(const GpuSpec& gpu, const KernelCostOptions& options = {});

}  // namespace trainyard
