#include "sim/memory/holdings.hpp"

#include <map>

#include "models/activations.hpp"
#include "sim/memory/model_states.hpp"
#include "sim/memory/offload.hpp"
#include "sim/memory/recompute.hpp"

namespace trainyard {

namespace {

ChunkHoldings holdings_of_rank(const Scenario& scenario, const ShardShape& shard, const Chunk& chunk) {
  const OperatorOptions& options = scenario.framework.operators;
  const ChunkActivations layers = chunk_activations(scenario, shard, chunk);
  ChunkHoldings out{.activations = layers.kept, .recompute = layers.rebuilt};
  for (const Bytes layer : offloaded_activations(scenario, shard, chunk)) {
    out.on_host += layer;
  }
  std::map<LayerKind, Bytes> of_kind;
  for (std::int64_t i = 0; i < chunk.layers; ++i) {
    const LayerKind kind = layer_kind(scenario.model, chunk.first_layer + i);
    const auto [entry, is_new] = of_kind.try_emplace(kind);
    if (is_new) {
      entry->second = weight_gradient_bytes(scenario.model, kind, shard, options);
    }
    out.for_weights += entry->second;
  }
  out.for_weights = min(out.for_weights, layers.kept + layers.rebuilt);
  out.activations -= out.on_host;
  if (chunk.embedding == Holds::kYes) {
    out.activations += total_bytes(embedding_activation_bytes(scenario.model, shard, options));
  }
  if (chunk.head == Holds::kYes) {
    out.logits = total_bytes(head_activation_bytes(scenario.model, shard, options));
    const std::int64_t vocab = shard.padded_vocab / shard.tp;
    const auto logits = static_cast<double>(shard.micro_batch * shard.local_seq_len() * vocab);
    out.logits +=
        bytes_per_element(Precision::kFp32) * (logits * static_cast<double>(scenario.framework.memory.loss_copies));
  }
  return out;
}

// Full hidden tensors that sequence parallelism's linears hand to reduce-scatters: two in a layer's forward.
constexpr double kScatteredTensorsPerLayer = 2.0;

}  // namespace

ChunkHoldings chunk_holdings(const Scenario& scenario, const Layout& layout, const Chunk& chunk) {
  ChunkHoldings out = holdings_of_rank(scenario, layout.shard, chunk);
  for (const ShardShape& shard : layout.expert_shards) {
    const ChunkHoldings one = holdings_of_rank(scenario, shard, chunk);
    if (one.activations + one.recompute > out.activations + out.recompute) {
      out = one;
    }
  }
  return out;
}

namespace {

// The batch that is copied while another one is worked on, which counts among the activations; on the host those that
// are ready, and the one being made.
void add_input_batches(StageHoldings& out, const Scenario& scenario, const Stage& stage) {
  if (!scenario.input || !stage.reads_samples()) {
    return;
  }
  const InputOptions& input = *scenario.input;
  const Bytes batch = input.tensor * static_cast<double>(scenario.training.micro_batch);
  out.on_host[MemoryUse::kInput] = batch * static_cast<double>(input.prefetch + 1);
  if (input.copies_ahead()) {
    out.resident[MemoryUse::kInput] = batch;
    if (out.update) {
      (*out.update)[MemoryUse::kInput] = batch;
    }
  }
}

}  // namespace

StageHoldings stage_holdings(const Scenario& scenario, const Layout& layout, std::size_t stage) {
  StageHoldings out = holdings_beside_chunks(scenario, layout, stage);
  add_input_batches(out, scenario, layout.stages[stage]);
  for (const Chunk& chunk : layout.stages[stage].chunks) {
    out.chunks.push_back(chunk_holdings(scenario, layout, chunk));
  }
  return out;
}

StageHoldings holdings_beside_chunks(const Scenario& scenario, const Layout& layout, std::size_t stage) {
  const FrameworkMemory& framework = scenario.framework.memory;
  const ShardShape& shard = layout.shard;
  const ModelStates states = model_states(scenario, layout, stage);

  StageHoldings out;
  out.resident[MemoryUse::kParameters] = states.parameters;
  out.resident[MemoryUse::kGradients] = states.gradients;
  out.resident[MemoryUse::kOptimizer] = states.optimizer;
  out.resident[MemoryUse::kGatheredWeights] = states.gathered_weights;
  out.resident[MemoryUse::kCommunication] = states.gradient_buckets;
  out.resident[MemoryUse::kContext] = framework.context;
  if (states.update_gradients) {
    out.update = out.resident;
    (*out.update)[MemoryUse::kGradients] = *states.update_gradients;
    (*out.update)[MemoryUse::kGatheredWeights] = {};
    (*out.update)[MemoryUse::kCommunication] = {};
  }
  out.on_host = states.on_host;
  const Bytes autograd =
      max(bytes_per_element(scenario.training.param_dtype), storage_bytes_per_element(scenario.training.precision)) *
      static_cast<double>(layout.stage_shares[stage].trainable());
  if (framework.autograd_gradients == Presence::kPresent) {
    out.autograd_gradients = autograd;
  }
  if (framework.bucket_copies == Presence::kPresent && scenario.layout.data_ranks() > 1) {
    out.resident[MemoryUse::kCommunication] = autograd;
  }
  Bytes buffers{};
  for (const Chunk& chunk : layout.stages[stage].chunks) {
    buffers = max(buffers, copy_buffers(offloaded_activations(scenario, shard, chunk)));
  }
  out.resident[MemoryUse::kCommunication] += buffers;
  if (framework.lagging_collectives > 0 && shard.tp > 1) {
    const Bytes hidden = shard.activation_element *
                         static_cast<double>(shard.micro_batch * shard.local_seq_len() * scenario.model.hidden);
    const Stage& held = layout.stages[stage];
    out.lagging_buffers_per_pass = hidden * (kScatteredTensorsPerLayer * static_cast<double>(held.layers()) /
                                             static_cast<double>(held.chunks.size()));
    out.most_lagging_buffers = hidden * static_cast<double>(framework.lagging_collectives);
  }
  out.fragmentation = framework.fragmentation;
  return out;
}

}  // namespace trainyard
