#include "sim/program/optimizer_step.hpp"

#include <array>
#include <numeric>
#include <span>

#include "sim/memory/model_states.hpp"

namespace trainyard {
namespace {

// Traffic of the optimizer in bytes per parameter. Source: dataflow of Megatron-LM megatron/optimizer/optimizer.py with
// fused (multi-tensor) Adam.
double gradient_read(const Scenario& scenario) {
  return updating_gradient_element(scenario.training).value;
}
double updated(const Scenario& scenario) {
  return updated_element(scenario.training).value;
}

KernelRun multi_tensor_kernels(const Scenario& scenario, std::span<const double> bytes_per_parameter, double parameters,
                               const KernelCosts& costs) {
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
  const double norm = gradient_read(scenario);
  // Gradients narrower than what they update are copied; fp16 training unscales them and looks for infinities.
  const double copy = grad < norm ? grad + norm : 0.0;
  const double unscale = scenario.training.precision == Precision::kFp16 ? 2.0 * norm : 0.0;
  return multi_tensor_kernels(scenario, std::array{copy, unscale, norm}, shard.parameters, costs);
}

namespace {

// Bytes per parameter of each of the optimizer's passes.
using PassTraffic = std::array<double, std::tuple_size_v<decltype(OptimizerTraits::passes)>>;
PassTraffic passes_of(const Scenario& scenario, Optimizer optimizer) {
  // Adam as TensorFlow statements moves 39 values of a parameter where the fused kernel moves 7. Source:
  // google-research/bert, optimization.py (AdamWeightDecayOptimizer): each operator reads its inputs and writes its
  // result, and the assignments copy.
  constexpr double kStatements = 39.0 / 7.0;
  const double statements = scenario.framework.optimizer == Fusion::kOff ? kStatements : 1.0;
  const double states = moment_bytes(scenario, optimizer).value;
  PassTraffic out{};
  for (std::size_t i = 0; i < out.size(); ++i) {
    const OptimizerPass& pass = optimizer_traits(optimizer).passes[i];
    out[i] = statements *
             (pass.gradients * gradient_read(scenario) + pass.parameters * updated(scenario) + pass.states * states);
  }
  return out;
}

PassTraffic update_passes(const Scenario& scenario, const OptimizerShard& shard) {
  const OptimizerTraits& traits = optimizer_traits(scenario.training.optimizer);
  PassTraffic out = passes_of(scenario, scenario.training.optimizer);
  if (traits.matrices != MatrixUpdate::kNone) {
    const PassTraffic elsewhere = passes_of(scenario, traits.elsewhere);
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = shard.in_matrices * out[i] + (1.0 - shard.in_matrices) * elsewhere[i];
    }
  }
  return out;
}

// The model computes with a narrower copy of what is updated.
bool casts(const Scenario& scenario, const OptimizerShard& shard) {
  return shard.model_copy.value < updated(scenario);
}

}  // namespace

Bytes update_traffic(const Scenario& scenario, const OptimizerShard& shard) {
  const PassTraffic passes = update_passes(scenario, shard);
  return {std::accumulate(passes.begin(), passes.end(), 0.0) + (casts(scenario, shard) ? shard.model_copy.value : 0.0)};
}

KernelRun optimizer_update(const Scenario& scenario, const OptimizerShard& shard, const KernelCosts& costs) {
  const double clip = 2.0 * gradient_read(scenario);  // gradients scaled by the clipping coefficient, read and written
  const auto [first, second, third] = update_passes(scenario, shard);
  const double cast = casts(scenario, shard) ? updated(scenario) + shard.model_copy.value : 0.0;
  return multi_tensor_kernels(scenario, std::array{clip, first, second, third, cast}, shard.parameters, costs);
}

KernelRun zero_gradients(const Scenario& scenario, double parameters, const KernelCosts& costs) {
  return multi_tensor_kernels(scenario, std::array{bytes_per_element(scenario.training.grad_dtype).value}, parameters,
                              costs);
}

}  // namespace trainyard
