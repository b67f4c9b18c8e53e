#include "kernels/kernel_costs.hpp"

#include "kernels/calibration.hpp"
#include "kernels/convolution_model.hpp"
#include "kernels/gpu.hpp"
#include "kernels/grouped_gemm_model.hpp"

namespace trainyard {
namespace {

// Where the two slopes of KernelSensitivity are measured off the models: at the channels that NCCL keeps on A100 and
// H100 (16 to 24; NVIDIA, Megatron-LM core/distributed/distributed_data_parallel_config.py) and at the share of memory
// bandwidth that a ring at NVLink rate takes (three bytes per byte of busbw: 370 GB/s on H100, 232 GB/s on A100). Times
// that fall into waves of tiles are exact at these points and interpolated elsewhere; times bound by memory are exact
// everywhere.
constexpr int kHeldMultiprocessors = 16;
constexpr double kTakenMemory = 1.0 / 3.0;

class CalibratedKernelCosts final : public KernelCosts {
 public:
  CalibratedKernelCosts(const GpuSpec& gpu, KernelCalibration calibration, KernelCostOptions options)
      : gpu_(gpu),
        calibration_(std::move(calibration)),
        options_(std::move(options)),
        clock_ratio_(options_.sustained == Sustained::kYes ? gpu.sustained_clock_ratio : 1.0) {}

  Seconds gemm(const Gemm& work) const override { return on_share(work, {}); }
  Seconds grouped_gemm(const GroupedGemm& work) const override { return on_share(work, {}); }
  Seconds attention(const Attention& work) const override { return on_share(work, {}); }
  Seconds convolution(const Convolution& work) const override { return on_share(work, {}); }
  Seconds memory_bound(const MemoryBound& work) const override { return on_share(work, {}); }

  KernelSensitivity sensitivity(const KernelWork& work) const override {
    return std::visit(
        [this](const auto& concrete) -> KernelSensitivity {
          const double sms = gpu_.multiprocessors;
          const Seconds alone = on_share(concrete, {});
          const Seconds on_fewer = on_share(concrete, {.multiprocessors_held = kHeldMultiprocessors});
          const Seconds with_less = on_share(concrete, {.memory = 1.0 - kTakenMemory});
          return {.multiprocessors = max(Seconds{}, on_fewer - alone) * (sms / kHeldMultiprocessors - 1.0),
                  .memory = max(Seconds{}, with_less - alone) * (1.0 / kTakenMemory - 1.0)};
        },
        work);
  }

 private:
  Seconds on_share(const Gemm& work, const GpuShare& share) const {
    return gemm_time(work, gpu_, calibration_.gemm_for(work.precision), clock_ratio_, share);
  }
  Seconds on_share(const GroupedGemm& work, const GpuShare& share) const {
    return grouped_gemm_time(work, options_.grouped_kernel, gpu_, calibration_.gemm_for(work.precision), clock_ratio_,
                             share);
  }
  Seconds on_share(const Attention& work, const GpuShare& share) const {
    const AttentionCalibration& directions = calibration_.attention_for(work.precision, options_.attention_kernel);
    return attention_time(work, gpu_, work.direction == Direction::kForward ? directions.forward : directions.backward,
                          clock_ratio_, share);
  }
  Seconds on_share(const Convolution& work, const GpuShare& share) const {
    return convolution_time(work, gpu_, calibration_, clock_ratio_, share);
  }
  Seconds on_share(const MemoryBound& work, const GpuShare& share) const {
    return memory_bound_time(work, gpu_, calibration_.memory_bound.elementwise, share);
  }

  GpuSpec gpu_;
  KernelCalibration calibration_;
  KernelCostOptions options_;
  double clock_ratio_;
};

}  // namespace

std::unique_ptr<KernelCosts> calibrated_kernel_costs(const GpuSpec& gpu, const KernelCostOptions& options) {
  return std::make_unique<CalibratedKernelCosts>(gpu, calibration_for(gpu), options);
}

}  // namespace trainyard
