#include "sim/layout/memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "models/activations.hpp"
#include "sim/base/quantity_text.hpp"
#include "sim/layout/model_states.hpp"
#include "sim/layout/offload.hpp"
#include "sim/layout/recompute.hpp"

namespace trainyard {

Bytes weight_gradient_bytes(const Scenario& scenario, const LayerKind& kind, const ShardShape& shard) {
  // Experts keep the same operands in one kernel or in many; as one they do not look like projections of one input.
  OperatorOptions options = scenario.framework.operators;
  options.grouped_gemm = Fusion::kOn;
  std::int64_t elements = 0;
  std::string_view last;
  for (const Operator& op : layer_backward(scenario.model, kind, shard, options)) {
    if (op.pass != Pass::kWgrad) {
      continue;
    }
    if (const auto* gemm = std::get_if<Gemm>(&op.work)) {
      elements += gemm->k * (gemm->m + (op.name == last ? 0 : gemm->n));
      last = op.name;
    } else if (const auto* grouped = std::get_if<GroupedGemm>(&op.work)) {
      elements += grouped->total_tokens() * (grouped->k + grouped->n);
    }
  }
  return shard.activation_element * static_cast<double>(elements);
}

namespace {

constexpr Bytes kFp32{4.0};

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
      entry->second = weight_gradient_bytes(scenario, kind, shard);
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
    out.logits += kFp32 * (logits * static_cast<double>(scenario.framework.memory.loss_copies));
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

StageHoldings stage_holdings(const Scenario& scenario, const Layout& layout, std::size_t stage) {
  StageHoldings out = holdings_beside_chunks(scenario, layout, stage);
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

std::size_t MemoryEstimate::fullest() const {
  const auto spare = [](const StageMemory& stage) { return stage.capacity - stage.total; };
  const auto found = std::min_element(stages.begin(), stages.end(),
                                      [&](const StageMemory& a, const StageMemory& b) { return spare(a) < spare(b); });
  return static_cast<std::size_t>(found - stages.begin());
}

namespace {

MemoryEstimate of_stages(std::vector<StageMemory> stages) {
  MemoryEstimate out{.stages = std::move(stages)};
  const StageMemory& fullest = out.stages[out.fullest()];
  out.peak = fullest.total;
  out.capacity = fullest.capacity;
  return out;
}

std::size_t stage_of(const Layout& layout, std::size_t rank) {
  const auto stage = layout.grid.coordinates(RankId::from(rank))[static_cast<std::size_t>(Dimension::kPipeline)];
  return static_cast<std::size_t>(stage);
}

}  // namespace

MemoryEstimate make_estimate(std::vector<StageMemory> stages, Bytes capacity) {
  for (StageMemory& stage : stages) {
    stage.capacity = capacity;
  }
  return of_stages(std::move(stages));
}

MemoryEstimate make_estimate(std::vector<StageMemory> stages, const Scenario& scenario, const Layout& layout) {
  Bytes largest{};
  for (const GpuSpec& gpu : scenario.different_gpus()) {
    largest = max(largest, gpu.memory);
  }
  for (StageMemory& stage : stages) {
    stage.capacity = largest;
  }
  for (std::size_t rank = 0; rank < scenario.gpu_kind_of.size(); ++rank) {
    Bytes& capacity = stages[stage_of(layout, rank)].capacity;
    capacity = min(capacity, scenario.gpu_kinds[scenario.gpu_kind(rank)].memory);
  }
  MemoryEstimate out = of_stages(std::move(stages));
  if (!scenario.training.offload.any()) {
    return out;
  }
  out.host_capacity = scenario.cluster.node.host_memory;
  const auto of_node = static_cast<std::size_t>(std::max(1, scenario.cluster.gpus_per_node));
  Bytes node{};
  for (std::size_t rank = 0; rank < layout.grid.ranks(); ++rank) {
    node = rank % of_node == 0 ? Bytes{} : node;
    node += out.stages[stage_of(layout, rank)].host.total();
    out.host_peak = max(out.host_peak, node);
  }
  return out;
}

namespace {

// What this job has not exhausted yet.
std::string remedies(const Scenario& scenario) {
  constexpr std::int64_t kLong = 16384;  // tokens, from which context parallelism is usual
  const Parallelism& layout = scenario.layout;
  const Training& training = scenario.training;
  const bool shards_all = is_fsdp(training.data_parallel.strategy) || training.zero_stage == 3;
  const std::array<std::pair<bool, const char*>, 9> known = {{
      {layout.tp < scenario.cluster.gpus_per_node && scenario.model.heads % (2 * layout.tp) == 0, "raise tp"},
      {layout.pp * layout.vpp < scenario.model.layers && !shards_all, "raise pp"},
      {layout.cp > 1 || training.seq_len >= kLong, "raise cp"},
      {scenario.model.experts && layout.ep < scenario.model.experts->count, "raise ep"},
      {!shards_all && layout.data_ranks() > 1, "raise zero_stage"},
      {training.recompute != Recompute::kFull, "recompute more"},
      {training.micro_batch > 1, "lower micro_batch"},
      {!training.offload.any(), "offload (training.offload)"},
      {true, "use more GPUs"},
  }};
  std::string out;
  for (const auto& [helps, words] : known) {
    out += helps ? fmt::format("{}, ", words) : "";
  }
  return out + "or ask with --allow-oom";
}

}  // namespace

void check_fits(const MemoryEstimate& memory, const Scenario& scenario) {
  if (memory.fits()) {
    return;
  }
  if (memory.peak <= memory.capacity) {
    throw UserError({.found = fmt::format("{} on the fullest node", to_text(memory.host_peak)),
                     .allowed = fmt::format("{} of host memory per node", to_text(memory.host_capacity)),
                     .problem = "what is offloaded does not fit in the memory of the hosts",
                     .remedy = "lower the fractions of training.offload, or ask with --allow-oom"},
                    ExitCode::kInfeasible);
  }
  const std::size_t fullest = memory.fullest();
  std::string terms;
  for (const auto& [name, use] : kMemoryUseNames.rows) {
    const Bytes bytes = memory.stages[fullest].uses[use];
    if (bytes > Bytes{}) {
      terms += fmt::format("{}{} {}", terms.empty() ? "" : ", ", name, to_text(bytes));
    }
  }
  throw UserError({.found = fmt::format("{} on stage {} ({})", to_text(memory.peak), fullest, terms),
                   .allowed = fmt::format("{} per GPU", to_text(memory.capacity)),
                   .problem = "the layout does not fit in memory",
                   .remedy = remedies(scenario)},
                  ExitCode::kInfeasible);
}

}  // namespace trainyard
