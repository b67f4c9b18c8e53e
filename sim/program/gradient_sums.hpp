#pragma once
// Sums of gradients over ranks that hold the same parameters without being data-parallel replicas of one another, in
// the order in which Megatron-LM finishes a step's gradients. Source: core/distributed/finalize_model_grads.py.
#include <cstdint>

#include "kernels/kernel_costs.hpp"
#include "sim/program/communicators.hpp"
#include "sim/program/rank_builder.hpp"

namespace trainyard {

struct GradientSite {
  const Scenario& scenario;
  const Layout& layout;
  const KernelCosts& costs;
  std::int32_t stage;
  Communicators& communicators;
  RankBuilder& builder;
};

// All that the stage needs, in the data flow: over the two replicas of a bidirectional pipeline; over tensor-parallel
// ranks, what these hold alike (ParameterShare::alike) as one tensor; over first and last stage, a tied embedding.
void sum_gradients(const GradientSite& site);

}  // namespace trainyard
