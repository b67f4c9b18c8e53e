#pragma once
// What is asked: model, cluster, layout, recipe, framework profile. Read once, checked, and never changed afterwards.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/gpu.hpp"
#include "models/model.hpp"
#include "sim/base/collective_algorithm.hpp"
#include "sim/base/json_reader.hpp"
#include "sim/scenario/expert_routing.hpp"
#include "sim/scenario/framework.hpp"
#include "sim/scenario/input.hpp"
#include "sim/scenario/offload.hpp"
#include "sim/scenario/operator_names.hpp"
#include "sim/scenario/optimizer.hpp"
#include "sim/scenario/update_strategy.hpp"
#include "sim/scenario/variation.hpp"
#include "sim/schedules/schedule.hpp"
#include "sim/schedules/schedule_table.hpp"
#include "topologies/cluster.hpp"

namespace trainyard {

enum class Network { kFlow, kAnalytic, kSimgrid };
inline constexpr NameTable<Network, 3> kNetworkNames{
    {{{"flow", Network::kFlow}, {"analytic", Network::kAnalytic}, {"simgrid", Network::kSimgrid}}}};
enum class Fold { kOn, kOff };
// How full recomputation covers the layers of a chunk: in groups of recompute_layers, or the first recompute_layers.
enum class RecomputeMethod { kUniform, kBlock };
inline constexpr NameTable<RecomputeMethod, 2> kRecomputeMethodNames{
    {{{"uniform", RecomputeMethod::kUniform}, {"block", RecomputeMethod::kBlock}}}};

// Where the input embedding stands, or the head with its loss.
enum class EndPlacement {
  kWithLayers,  // beside the layers of the first or last virtual stage, which are as many as elsewhere
  kAsLayer,     // there too, in the place of one layer (Megatron's account_for_..._in_pipeline_split)
  kStandalone   // alone on the first or last virtual stage
};
inline constexpr NameTable<EndPlacement, 3> kEndPlacementNames{{{{"with-layers", EndPlacement::kWithLayers},
                                                                 {"as-layer", EndPlacement::kAsLayer},
                                                                 {"standalone", EndPlacement::kStandalone}}}};

enum class ExpertOverlap { kOff, kOn };

// Degrees of parallelism; the product of tp, cp, dp and pp is the number of GPUs. The experts share those ranks out
// anew: etp * ep * expert_dp * pp is the same number.
struct Parallelism {
  std::int64_t tp = 1;
  std::int64_t pp = 1;
  std::int64_t vpp = 1;  // model chunks per stage
  std::int64_t cp = 1;
  ContextParallel context_parallel = ContextParallel::kRing;
  std::int64_t context_inner = 1;  // of kHierarchical: neighbouring ranks that exchange heads
  std::int64_t ep = 1;             // ranks that share out the experts
  std::int64_t etp = 1;            // tensor parallelism within an expert
  std::int64_t dp = 1;
  std::int64_t hsdp_shard = 1;  // ranks that share out a copy of the model; hybrid sharding keeps several copies
  SequenceParallel sequence_parallel = SequenceParallel::kOff;
  TensorOverlap tp_overlap = TensorOverlap::kOff;  // collectives of tensor parallelism in chunks beside their GEMMs
  // Exchanges with experts of one micro-batch's forward pass beside the backward pass of another, and the other way
  // round: where the schedule joins two such passes.
  ExpertOverlap ep_overlap = ExpertOverlap::kOff;
  std::string order = "tp-cp-ep-dp-pp";        // fastest-varying first, as in Megatron
  std::vector<std::int64_t> layers_per_stage;  // of every virtual stage, along the model; empty: spread evenly
  Presence device_map = Presence::kAbsent;     // the stages are devices of one process
  EndPlacement embedding = EndPlacement::kWithLayers;
  EndPlacement loss = EndPlacement::kWithLayers;

  // Ranks that hold the same experts.
  std::int64_t expert_dp() const { return tp * cp * dp / (etp * ep); }
  // Of them, those that share out one copy: as many copies are kept as of everything else.
  std::int64_t expert_shard() const { return expert_dp() * hsdp_shard / data_ranks(); }
  // Ranks that hold the same parameters, or would if these were not sharded: context parallelism shares the gradients'
  // sum with data parallelism.
  std::int64_t data_ranks() const { return dp * cp; }
};

// What the communication library checks at run time: with kDetail members compare every collective before it starts
// (TORCH_DISTRIBUTED_DEBUG=DETAIL: torch/csrc/distributed/c10d/ProcessGroupWrapper.cpp).
enum class DistributedDebug { kOff, kDetail };
inline constexpr NameTable<DistributedDebug, 2> kDistributedDebugNames{
    {{{"off", DistributedDebug::kOff}, {"detail", DistributedDebug::kDetail}}}};

struct Training {
  std::int64_t seq_len = 0;
  std::int64_t document_len = 0;  // of the documents packed into a sequence; 0: a sequence is one
  std::int64_t micro_batch = 1;   // sequences per model replica per micro-batch
  std::int64_t global_batch = 1;  // sequences per step over all replicas
  Precision precision = Precision::kBf16;
  // Of stored parameters. Wider than the precision's own: automatic mixed precision, which casts at every use
  // (torch.autocast) and keeps no master copy.
  Precision param_dtype = Precision::kBf16;
  Precision grad_dtype = Precision::kFp32;
  Precision optimizer_dtype = Precision::kFp32;  // of the optimizer's moments
  Precision master_dtype = Precision::kFp32;     // of the master copy; there is none where parameters are as wide
  // Copies of the weights in the GEMMs' format, kept beside the 16-bit weights of 8- and 4-bit recipes: as stored and
  // transposed. Source: Transformer Engine, pytorch/tensor/float8_tensor.py (rowwise and columnwise data).
  std::int64_t weight_copies = 2;
  Optimizer optimizer = Optimizer::kAdam;
  Recompute recompute = Recompute::kNone;
  RecomputeMethod recompute_method = RecomputeMethod::kUniform;
  std::int64_t recompute_layers = 1;
  std::vector<RecomputeModule> recompute_modules;  // of selective recomputation; none: core attention
  ExpertRouting experts;                           // of models that have experts
  int zero_stage = 0;
  DataParallelOptions data_parallel;
  // Of workers that meet over many updates; within one, all of the above holds.
  std::optional<UpdateStrategy> strategy;
  OffloadOptions offload;
  DistributedDebug distributed_debug = DistributedDebug::kOff;
  // Of every collective whose operation it does (NCCL_ALGO); absent: the library chooses.
  std::optional<Algorithm> collective_algorithm;
  ScheduleName schedule = ScheduleName::kOneFOneB;
  std::optional<ScheduleTable> schedule_table;  // of ScheduleName::kTable
  std::int64_t micro_batch_group = 0;           // that visits a chunk in turn when interleaved; 0: pp

  const DataParallelTraits& data_parallel_traits() const {
    return trainyard::data_parallel_traits(data_parallel.strategy);
  }
  // Whether the data-parallel strategy does in this ZeRO stage what the trait says.
  bool does(FromStage DataParallelTraits::*trait) const { return zero_stage >= data_parallel_traits().*trait; }
  bool has_flat_shards() const { return data_parallel_traits().shards == Shards::kFlat; }
  // Whether every micro-batch's gradients are reduced, or their sum over the step.
  bool reduces_each_micro_batch() const {
    return data_parallel_traits().gradient_sync ? data_parallel.gradient_sync == GradientSync::kEveryMicroBatch
                                                : does(&DataParallelTraits::shards_gradients);
  }
};

struct Scenario {
  ModelSpec model;
  ClusterSpec cluster;
  GpuSpec gpu;                            // of every rank; where these differ, of the first
  std::vector<GpuSpec> gpu_kinds;         // the different GPUs in the order of their ranks; empty where all are alike
  std::vector<std::int32_t> gpu_kind_of;  // of every rank: index into gpu_kinds; likewise
  std::int64_t gpus = 1;
  Parallelism layout;
  Training training;
  FrameworkProfile framework;
  Network network = Network::kFlow;
  Fold fold = Fold::kOn;
  std::uint64_t seed = 0;
  VariationOptions variation;
  std::optional<InputOptions> input;   // none: samples are on the device when they are wanted
  std::vector<std::string> gpu_notes;  // what of the GPUs is not what it seems, whatever the layout
  std::vector<std::string> notes;      // what was left out or chosen for the user, in words, the former included
  Json resolved;                       // every value that was used, defaults included, in the scenario's own schema

  Placement placement() const {
    return training.schedule_table ? training.schedule_table->placement : schedule_traits(training.schedule).placement;
  }
  // One GPU of every kind that takes part.
  std::span<const GpuSpec> different_gpus() const {
    return gpu_kinds.empty() ? std::span<const GpuSpec>(&gpu, 1) : std::span<const GpuSpec>(gpu_kinds);
  }
  std::size_t gpu_kind(std::size_t rank) const {
    return gpu_kind_of.empty() ? 0 : static_cast<std::size_t>(gpu_kind_of[rank]);
  }
  std::int64_t micro_batches() const { return training.global_batch / (training.micro_batch * layout.dp); }
};

}  // namespace trainyard
