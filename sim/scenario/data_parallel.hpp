#pragma once
// How replicas of the model share gradients, parameters and optimizer states: the strategy and its knobs. A framework
// profile gives the defaults, the scenario's "training.data_parallel" overrides them key by key.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
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
// Whether a bucket waits until it is full, or takes what is ready up to its size.
enum class BucketFill { kFull, kReady };
inline constexpr NameTable<BucketFill, 2> kBucketFillNames{
    {{{"full", BucketFill::kFull}, {"ready", BucketFill::kReady}}}};
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
  // Horovod, in the place of DDP's reducer: gradients that are ready fuse at the end of a thread's cycle, which is half
  // a cycle away on average, and every member of the group adds to the coordinator's round. Source:
  // horovod/common/operations.cc (RunLoopOnce, HOROVOD_CYCLE_TIME) and controller.cc (ComputeResponseList).
  BucketFill fill = BucketFill::kFull;
  Seconds cycle{};
  Seconds negotiation{};  // of a reduction, per member of its group

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

// ZeRO stages that a strategy offers, smallest first; the last is what it does when none is asked for.
struct ZeroStages {
  int least = 0;
  int most = 0;
};
// What a rank keeps of states that are shared out: a shard of each; or flat shards that are parameter and master copy
// in one, of which groups of ranks (Parallelism::hsdp_shard) may hold a copy each.
enum class Shards { kOfStates, kFlat };
enum class NarrowParameters { kRefused, kGathered };

// The ZeRO stages in which a strategy does something: from this one on.
using FromStage = int;
inline constexpr FromStage kInEveryStage = 0;
inline constexpr FromStage kInNoStage = 4;

// What strategies differ in beyond the collectives that they launch: one row each. Checks, memory, search and program
// ask here what a strategy does, not for its name.
struct DataParallelTraits {
  DataParallelName strategy;
  ZeroStages stages;
  Shards shards = Shards::kOfStates;
  FromStage gathers_for_use = kInNoStage;      // parameters live in shards; a pass gathers them and frees them after it
  FromStage shards_gradients = kInNoStage;     // reduced gradients leave for their shards and are kept nowhere else
  FromStage updates_on_host = kInNoStage;      // the optimizer may run there
  FromStage refuses_pipeline = kInNoStage;     // works on one stage of layers only
  FromStage refuses_mixed_order = kInNoStage;  // wants each micro-batch forward and then whole backward
  // Parameters may be stored and gathered in formats narrower than the precision's storage.
  NarrowParameters narrow_parameters = NarrowParameters::kRefused;
  // What trainers ask for where the strategy has this option.
  std::optional<GradientSync> gradient_sync;
  // Elements of the smallest bucket that is filled again and again; null where buckets are whole units.
  double (*smallest_bucket)(const DataParallelOptions& options, Bytes gradient_element) = nullptr;
};
const DataParallelTraits& data_parallel_traits(DataParallelName strategy);

// The strategies that do what a trait says, and from which stage on: "deepspeed from stage 3, fsdp, hsdp".
std::string strategies_text(FromStage DataParallelTraits::*trait);

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
