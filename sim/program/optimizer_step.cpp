#include "sim/program/optimizer_step.hpp"

namespace trainyard {
namespace {

// Traffic of the mixed-precision optimizer in bytes per parameter.
// Source: dataflow of Megatron-LM megatron/optimizer/optimizer.py with fused (multi-tensor) Adam.
constexpr double kFp32 = 4.0;

KernelRun multi_tensor_kernels(const Scenario& scenario, std::initializer_list<double> bytes_per_parameter,
                               double parameters, const KernelCosts& costs) {
  KernelRun run;
  for (const double bytes : bytes_per_parameter) {
    if (bytes * parameters > 0.0) {
      const MemoryBound kernel{.traffic = Bytes{bytes * parameters}};
      const double rate = scenario.framework.kernel_rate;
      const KernelSensitivity alone = costs.sensitivity(kernel);
      run.append(scenario.framework.host.forward_operator, costs.memory_bound(kernel) / rate,
                 {.multiprocessors = alone.multiprocessors / rate, .memory = alone.memory / rate});
    }
  }
  return run;
}

}  // namespace

KernelRun optimizer_before_norm(const Scenario& scenario, const OptimizerShard& shard, const KernelCosts& costs) {
  const double grad = shard.gradient.value;
  // Gradients kept in 16 bits are copied to fp32; fp16 training unscales them and looks for infinities.
  const double copy = grad < kFp32 ? grad + kFp32 : 0.0;
  const double unscale = scenario.training.precision == Precision::kFp16 ? 2.0 * kFp32 : 0.0;
  const double norm = kFp32;
  return multi_tensor_kernels(scenario, {copy, unscale, norm}, shard.parameters, costs);
}

namespace {

// Adam reads gradient, master parameter and two moments, and writes the last three; SGD with momentum keeps one moment.
double states_traffic(const Scenario& scenario) {
  return scenario.training.optimizer == Optimizer::kAdam ? 7.0 * kFp32 : 5.0 * kFp32;
}

}  // namespace

Bytes update_traffic(const Scenario& scenario, const OptimizerShard& shard) {
  const double model = shard.model_copy.value;
  return {states_traffic(scenario) + (model < kFp32 ? model : 0.0)};
}

KernelRun optimizer_update(const Scenario& scenario, const OptimizerShard& shard, const KernelCosts& costs) {
  const double model = shard.model_copy.value;
  const double clip = 2.0 * kFp32;  // gradients scaled by the clipping coefficient, read and written
  const double update = states_traffic(scenario);
  const double cast = model < kFp32 ? kFp32 + model : 0.0;
  return multi_tensor_kernels(scenario, {clip, update, cast}, shard.parameters, costs);
}

KernelRun zero_gradients(const Scenario& scenario, double parameters, const KernelCosts& costs) {
  return multi_tensor_kernels(scenario, {bytes_per_element(scenario.training.grad_dtype).value}, parameters, costs);
}

}  // namespace trainyard
