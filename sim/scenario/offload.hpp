#pragma once
// What a rank keeps in the memory of its host: "training.offload" of a scenario.
#include "sim/base/json_reader.hpp"

namespace trainyard {

// Whether copies run ahead of their use: the next layer's activations and weights come while the present one computes,
// and gradients, update and parameters follow one another piece by piece. Without it each is waited for.
enum class CopyAhead { kOff, kOn };

struct OffloadOptions {
  // Share of the optimizer's states that the host holds and updates. Sources: ZeRO-Offload, arXiv 2101.06840;
  // Megatron-LM core/optimizer/cpu_offloading/hybrid_optimizer.py (optimizer_offload_fraction).
  double optimizer = 0.0;
  // Share of the layers of a chunk, from its first on, whose activations wait on the host for their backward pass.
  // Source: Transformer Engine pytorch/cpu_offload.py.
  double activations = 0.0;
  // Share of the sharded parameters that live on the host and are copied before every gather. Sources: ZeRO-Infinity,
  // arXiv 2104.07857, section 5; torch/distributed/fsdp/_fully_shard/_fsdp_param.py (CPUOffloadPolicy).
  double weights = 0.0;
  CopyAhead prefetch = CopyAhead::kOn;

  bool any() const { return optimizer > 0.0 || activations > 0.0 || weights > 0.0; }
};

// An object of fractions from 0 to 1. Weights on the host are updated there: `optimizer` is at least `weights`, which
// is its default.
OffloadOptions read_offload(const JsonReader& json);
Json offload_json(const OffloadOptions& offload);

}  // namespace trainyard
