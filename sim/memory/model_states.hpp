#pragma once
// Parameters, gradients and optimizer states of one rank, and what a data-parallel strategy keeps beside them.
#include <optional>

#include "sim/layout/layout.hpp"
#include "sim/memory/memory_uses.hpp"

namespace trainyard {

struct ModelStates {
  Bytes parameters{};  // the rank's share
  Bytes gradients{};
  Bytes optimizer{};         // moments, and the master copy where the parameters are narrower
  Bytes gathered_weights{};  // at most, of the units whose parameters are whole
  Bytes gradient_buckets{};  // unsharded gradients that wait for their reduction, and its buffers
  // Gradients at the fullest moment of the optimizer's step, in the place of those above, their buffers and gathered
  // weights: what a strategy copies only then, and gives back before the next pass.
  std::optional<Bytes> update_gradients;
  MemoryUses on_host;  // what of the first three the host holds in the device's place, and what it needs for it
};

// Of one parameter as the optimizer updates it: the master copy, or the parameter itself where it is as wide.
Bytes updated_element(const Training& training);

// Of one gradient as the optimizer reads it: narrower ones are copied first. Source: Megatron-LM
// megatron/core/optimizer/optimizer.py (main_param.grad); torch.optim reads gradients in the parameter's own format.
Bytes updating_gradient_element(const Training& training);

// What an optimizer keeps of one parameter beside it and its master copy, without preconditioners. Factored moments are
// those of square matrices as wide as the model: (r + c) / (r c) = 2 / hidden values; wider ones have fewer.
Bytes moment_bytes(const Scenario& scenario, Optimizer optimizer);

// Of the parameters that a rank of the stage updates, the share in matrices of which the optimizer does more than
// element by element.
double matrix_share(const Scenario& scenario, const Layout& layout, std::size_t stage);

// What the scenario's optimizer keeps of one of the parameters that a rank of the stage updates, on average: of
// matrices and of the others, preconditioners in fp32 included, which replicas share out even where they share nothing
// else. Source: arXiv 2309.06497, section 4.
Bytes optimizer_state_bytes(const Scenario& scenario, const Layout& layout, std::size_t stage);

// Sources: ZeRO (arXiv 1910.02054, section 3 and 5), Megatron-LM docs/dist_optimizer.md, PyTorch's FSDP and
// DistributedDataParallel documentation, deepspeed/runtime/zero/config.py.
ModelStates model_states(const Scenario& scenario, const Layout& layout, std::size_t stage);

}  // namespace trainyard
