#pragma once
// Parameters, gradients and optimizer states of one rank, and what a data-parallel strategy keeps beside them.
#include "sim/layout/memory.hpp"

namespace trainyard {

struct ModelStates {
  Bytes parameters{};  // the rank's share
  Bytes gradients{};
  Bytes optimizer{};         // moments, and the fp32 master copy where the parameters are none
  Bytes gathered_weights{};  // at most, of the units whose parameters are whole
  Bytes gradient_buckets{};  // unsharded gradients that wait for their reduction, and its buffers
  MemoryUses on_host;        // what of the first three the host holds in the device's place, and what it needs for it
};

// Sources: ZeRO (arXiv 1910.02054, section 3 and 5), Megatron-LM docs/dist_optimizer.md, PyTorch's FSDP and
// DistributedDataParallel documentation, deepspeed/runtime/zero/config.py.
ModelStates model_states(const Scenario& scenario, const Layout& layout, std::size_t stage);

}  // namespace trainyard
