#pragma once
// The kernels of one optimizer step on one rank.
#include "kernels/kernel_costs.hpp"
#include "sim/layout/layout.hpp"
#include "sim/program/program.hpp"

namespace trainyard {

// What of the model one rank's optimizer holds.
struct OptimizerShard {
  double parameters = 0.0;   // that it updates
  double in_matrices = 0.0;  // the share of them in matrices of which the optimizer does more (MatrixUpdate)
  Bytes gradient{};          // of one gradient as it is stored
  Bytes model_copy{};        // of one parameter of the model; in fp32 it is the optimizer's own
};

// Before the gradients' norm is known over all ranks: cast or unscale gradients, local norm.
KernelRun optimizer_before_norm(const Scenario& scenario, const OptimizerShard& shard, const KernelCosts& costs);
// After it: the update itself and the cast of the new parameters.
KernelRun optimizer_update(const Scenario& scenario, const OptimizerShard& shard, const KernelCosts& costs);
// What an update reads and writes of one parameter, the cast in the pass that updates it, as optimizers on the host do.
Bytes update_traffic(const Scenario& scenario, const OptimizerShard& shard);
// Setting the gradients of `parameters` in the buffer to zero before the first micro-batch.
KernelRun zero_gradients(const Scenario& scenario, double parameters, const KernelCosts& costs);

}  // namespace trainyard
