#pragma once
// How replicas of the model share gradients, parameters and optimizer states: the strategy and its knobs. A framework
// profile gives the defaults, the scenario's "training.data_parallel" overrides them key by key.
#include <array>
#include <cstdint>
#include <string_view>

#include "sim/base/json_reader.hpp"
#include "sim/base/quantity.hpp"

namespace trainyard {

enum class DataParallelName { kDdp, kMegatron, kDeepspeed, kFsdp, kHsdp };
inline constexpr NameTable<DataParallelName, 5> kDataParallelNames{{{{"ddp", DataParallelName::kDdp},
                                                                     {"megatron", DataParallelName::kMegatron},
                                                                     {"deepspeed", DataParallelName::kDeepspeed},
                                                                     {"fsdp", DataParallelName::kFsdp},
                                                                     {"hsdp", DataParallelName::kHsdp}}}};

enum class GradientReduction { kAfterBackward, kOverlapped };
inline constexpr NameTable<GradientReduction, 2> kGradientReductionNames{
    {{{"after-backward", GradientReduction::kAfterBackward}, {"overlapped", GradientReduction::kOverlapped}}}};
// How a distributed optimizer learns the gradients of its shard: summed there, or summed everywhere.
enum class ShardGradients { kReduceScatter, kAllReduce };
inline constexpr NameTable<ShardGradients, 2> kShardGradientsNames{
    {{{"reduce-scatter", ShardGradients::kReduceScatter}, {"all-reduce", ShardGradients::kAllReduce}}}};
enum class ParameterGather { kAfterUpdate, kBeforeUse };
inline constexpr NameTable<ParameterGather, 2> kParameterGatherNames{
    {{{"after-update", ParameterGather::kAfterUpdate}, {"before-use", ParameterGather::kBeforeUse}}}};
enum class CommunicationOverlap { kOff, kOn };
// Whether micro-batches before the last one leave their gradients local ("no_sync").
enum class GradientSync { kLastMicroBatch, kEveryMicroBatch };
inline constexpr NameTable<GradientSync, 2> kGradientSyncNames{
    {{{"last-micro-batch", GradientSync::kLastMicroBatch}, {"every-micro-batch", GradientSync::kEveryMicroBatch}}}};
// When the all-gather of the next unit is issued, seen from the unit whose gradients are being computed.
enum class BackwardPrefetch { kNone, kPre, kPost };
inline constexpr NameTable<BackwardPrefetch, 3> kBackwardPrefetchNames{
    {{{"none", BackwardPrefetch::kNone}, {"pre", BackwardPrefetch::kPre}, {"post", BackwardPrefetch::kPost}}}};
// What FSDP does with a unit's gathered parameters after its forward pass.
enum class Reshard { kAfterBackward, kAfterForward };
// Where embedding and head stand: units like any layer, or the root, which stays gathered from forward to backward.
enum class OuterUnits { kWrapped, kRoot };
inline constexpr NameTable<OuterUnits, 2> kOuterUnitsNames{
    {{{"wrapped", OuterUnits::kWrapped}, {"root", OuterUnits::kRoot}}}};
// Whether reduce-scatters queue behind all-gathers (one communicator) or run beside them.
enum class ReduceStream { kShared, kOwn };
inline constexpr NameTable<ReduceStream, 2> kReduceStreamNames{
    {{{"shared", ReduceStream::kShared}, {"own", ReduceStream::kOwn}}}};
// Whether gathered parameters and gradients are copied between the communication buffer and the tensors.
enum class FlatBuffer { kNone, kParameters };

struct DataParallelOptions {
  DataParallelName strategy = DataParallelName::kMegatron;

  // DDP. Source: torch/csrc/distributed/c10d/reducer.hpp, kDefaultFirstBucketBytes and kDefaultBucketBytesCap.
  Bytes first_bucket = Bytes{1048576.0};
  Bytes bucket = Bytes{25.0 * 1048576.0};

  // Megatron. Source: megatron/core/distributed/distributed_data_parallel_config.py.
  GradientReduction gradient_reduction = GradientReduction::kAfterBackward;
  ShardGradients shard_gradients = ShardGradients::kReduceScatter;  // of ZeRO stage 1
  ParameterGather parameter_gather = ParameterGather::kAfterUpdate;
  double bucket_parameters = 4e7;           // smallest bucket, in parameters, when reduction overlaps
  double bucket_parameters_per_rank = 1e6;  // a bucket has at least this many parameters per data-parallel rank

  // DeepSpeed, in elements. Source: deepspeed/runtime/zero/config.py.
  CommunicationOverlap overlap_comm = CommunicationOverlap::kOff;
  double reduce_bucket_size = 5e8;
  double allgather_bucket_size = 5e8;
  double prefetch_bucket_size = 5e7;
  double max_live_parameters = 1e9;
  double max_reuse_distance = 1e9;
  double sub_group_size = 1e9;               // parameters that stage 3 updates at once
  double param_persistence_threshold = 1e5;  // stage 3 keeps parameters of at most this many elements whole

  // FSDP. Source: torch/distributed/fsdp.
  Reshard reshard = Reshard::kAfterForward;
  BackwardPrefetch backward_prefetch = BackwardPrefetch::kPre;
  std::int64_t gathers_in_flight = 2;  // all-gathers that may run ahead of the unit whose parameters are freed
  OuterUnits outer_units = OuterUnits::kRoot;
  ReduceStream reduce_stream = ReduceStream::kShared;
  FlatBuffer flat_buffer = FlatBuffer::kParameters;

  // DDP, FSDP.
  GradientSync gradient_sync = GradientSync::kLastMicroBatch;
};

bool is_fsdp(DataParallelName strategy);  // FSDP or its hybrid form

// ZeRO stages that a strategy offers, smallest first; the last is what it does when none is asked for.
struct ZeroStages {
  int least = 0;
  int most = 0;
};
ZeroStages zero_stages(DataParallelName strategy);

// Reads the keys of a strategy over `base`. `json` is the name of a strategy, or an object with the key "strategy"
// (when missing, the strategy of `base`) and that strategy's options. Throws UserError.
DataParallelOptions read_data_parallel(const JsonReader& json, DataParallelOptions base);

// The strategy of a scenario and its ZeRO stage. What "training" does not state the profile gives; a stated stage that
// the profile's strategy does not offer is taken from the strategy that does (0: ddp, else deepspeed). Throws UserError
// when stated strategy and stage exclude each other.
struct ChosenDataParallel {
  DataParallelOptions options;
  int zero_stage = 0;
};
ChosenDataParallel choose_data_parallel(const JsonReader& training, const DataParallelOptions& profile,
                                        int profile_zero_stage);

// The strategy and its options in the schema that read_data_parallel reads.
Json to_json(const DataParallelOptions& options);

}  // namespace trainyard
