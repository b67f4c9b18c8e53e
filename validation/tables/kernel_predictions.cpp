// What the models say of measured kernels.
#include "kernels/grouped_gemm_model.hpp"
#include "sim/base/error.hpp"
#include "validation/tables/kernel_measurements.hpp"

namespace trainyard {
namespace {

Seconds predicted_attention(const KernelMeasurement& row, const MeasuredAttention& measured,
                            const KernelCalibration& calibration) {
  const AttentionCalibration& parameters = calibration.attention_for(measured.work.precision, measured.kernel);
  Attention backward = measured.work;
  backward.direction = Direction::kBackward;
  Seconds time{};
  if (measured.pass != AttentionPass::kBackward) {
    time += attention_time(measured.work, *row.gpu, parameters.forward, 1.0);
  }
  if (measured.pass != AttentionPass::kForward) {
    time += attention_time(backward, *row.gpu, parameters.backward, 1.0);
  }
  return time;
}

}  // namespace

Seconds predicted_gemm_time(const KernelMeasurement& row, std::span<const GemmPlan> plans, FlopsPerSecond peak,
                            const GemmParameters& parameters, const HarnessParameters& harness) {
  const Gemm& work = std::get<Gemm>(row.work);
  const double left_elements =
      static_cast<double>(work.batch) * static_cast<double>(work.m) * static_cast<double>(work.k);
  return harness.extra_time + gemm_time(work, plans, *row.gpu, peak, parameters, harness.clock_ratio) +
         Bytes{harness.operand_pass * left_elements} / (row.gpu->memory_bandwidth * parameters.memory_efficiency);
}

Seconds predicted_time(const KernelMeasurement& row, const FittedKernels& fitted) {
  TY_ASSERT(row.gpu.has_value());
  if (const auto* gemm = std::get_if<Gemm>(&row.work)) {
    return predicted_gemm_time(row, gemm_plans(*gemm, row.gpu->multiprocessors), row.gpu->peak_for(gemm->precision),
                               fitted.calibration.gemm_for(gemm->precision),
                               harness_for(fitted.harnesses, row.source, family_of(gemm->precision)));
  }
  if (const auto* attention = std::get_if<MeasuredAttention>(&row.work)) {
    return predicted_attention(row, *attention, fitted.calibration);
  }
  if (const auto* grouped = std::get_if<MeasuredGroupedGemm>(&row.work)) {
    const HarnessParameters harness = harness_for(fitted.harnesses, row.source, family_of(row));
    return harness.extra_time + grouped_gemm_time(grouped->work, grouped->kernel, *row.gpu,
                                                  fitted.calibration.gemm_for(grouped->work.precision),
                                                  harness.clock_ratio);
  }
  if (const auto* convolution = std::get_if<Convolution>(&row.work)) {
    const ConvolutionUnits units = convolution_units(*row.gpu, convolution->precision);
    const std::optional<ConvolutionParameters>& found = fitted.convolutions[static_cast<std::size_t>(units)];
    return fastest_time(convolution_ways(*convolution, *row.gpu, fitted.calibration, 1.0), convolution->pass,
                        found ? *found : convolution_parameters(units));
  }
  const auto& measured = std::get<MeasuredMemoryBound>(row.work);
  MemoryBoundParameters parameters = measured.kind == MemoryBoundKind::kReduction
                                         ? fitted.calibration.memory_bound.reduction
                                         : fitted.calibration.memory_bound.elementwise;
  if (measured.cache == CacheState::kCold) {
    parameters.cache_efficiency = 0.0;  // nothing of it is in the cache: all at the memory's rate
  }
  return memory_bound_time(measured.work, *row.gpu, parameters);
}

}  // namespace trainyard
