#include "sim/scenario/data_parallel.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace trainyard {
namespace {

constexpr double kMostElements = 1e15;
constexpr Bytes kSmallestBucket{8.0};  // an element of the widest format
constexpr std::int64_t kMostInFlight = 1024;

// One option: which strategies have it, how it is read and written.
struct Option {
  std::string_view key;
  std::vector<DataParallelName> strategies;
  void (*read)(const JsonReader& json, DataParallelOptions& options);
  Json (*write)(const DataParallelOptions& options);
};

template <auto Member, const auto& Names>
Option choice(std::string_view key, std::vector<DataParallelName> strategies) {
  return {key, std::move(strategies),
          [](const JsonReader& json, DataParallelOptions& options) { options.*Member = json.choice(Names); },
          [](const DataParallelOptions& options) { return Json(Names.name_of(options.*Member)); }};
}
// A bucket of nothing is never full, so it holds an element at least; thresholds may be 0.
enum class Least { kNothing, kOneElement };
template <auto Member, Least least = Least::kNothing>
Option elements(std::string_view key, std::vector<DataParallelName> strategies) {
  return {key, strategies,
          [](const JsonReader& json, DataParallelOptions& options) {
            options.*Member = json.number(least == Least::kOneElement ? 1.0 : 0.0, kMostElements);
          },
          [](const DataParallelOptions& options) { return Json(options.*Member); }};
}
template <auto Member>
Option bytes(std::string_view key, std::vector<DataParallelName> strategies) {
  return {key, std::move(strategies),
          [](const JsonReader& json, DataParallelOptions& options) {
            options.*Member = json.bytes();
            if (options.*Member < kSmallestBucket) {
              json.fail("a bucket must have room for a gradient", "8 B or more");
            }
          },
          [](const DataParallelOptions& options) { return Json(fmt::format("{} B", (options.*Member).value)); }};
}
template <auto Member>
Option seconds(std::string_view key, std::vector<DataParallelName> strategies) {
  return {key, std::move(strategies),
          [](const JsonReader& json, DataParallelOptions& options) { options.*Member = json.seconds(); },
          [](const DataParallelOptions& options) { return Json(fmt::format("{} s", (options.*Member).value)); }};
}
template <auto Member, auto True, auto False>
Option flag(std::string_view key, std::vector<DataParallelName> strategies) {
  return {key, std::move(strategies),
          [](const JsonReader& json, DataParallelOptions& options) { options.*Member = json.boolean() ? True : False; },
          [](const DataParallelOptions& options) { return Json(options.*Member == True); }};
}

using Name = DataParallelName;
using Options = DataParallelOptions;

const std::vector<Option>& option_table() {
  static const std::vector<Option> kTable = {
      bytes<&Options::first_bucket>("first_bucket", {Name::kDdp}),
      bytes<&Options::bucket>("bucket", {Name::kDdp}),
      choice<&Options::fill, kBucketFillNames>("fill", {Name::kDdp}),
      seconds<&Options::cycle>("cycle", {Name::kDdp}),
      seconds<&Options::negotiation>("negotiation", {Name::kDdp}),
      choice<&Options::gradient_reduction, kGradientReductionNames>("gradient_reduction", {Name::kMegatron}),
      choice<&Options::shard_gradients, kShardGradientsNames>("shard_gradients", {Name::kMegatron}),
      choice<&Options::parameter_gather, kParameterGatherNames>("parameter_gather", {Name::kMegatron}),
      elements<&Options::bucket_parameters, Least::kOneElement>("bucket_parameters", {Name::kMegatron}),
      elements<&Options::bucket_parameters_per_rank>("bucket_parameters_per_rank", {Name::kMegatron}),
      flag<&Options::overlap_comm, CommunicationOverlap::kOn, CommunicationOverlap::kOff>("overlap_comm",
                                                                                          {Name::kDeepspeed}),
      elements<&Options::reduce_bucket_size, Least::kOneElement>("reduce_bucket_size", {Name::kDeepspeed}),
      elements<&Options::allgather_bucket_size, Least::kOneElement>("allgather_bucket_size", {Name::kDeepspeed}),
      elements<&Options::prefetch_bucket_size>("prefetch_bucket_size", {Name::kDeepspeed}),
      elements<&Options::max_live_parameters>("max_live_parameters", {Name::kDeepspeed}),
      elements<&Options::max_reuse_distance>("max_reuse_distance", {Name::kDeepspeed}),
      elements<&Options::sub_group_size>("sub_group_size", {Name::kDeepspeed}),
      elements<&Options::param_persistence_threshold>("param_persistence_threshold", {Name::kDeepspeed}),
      flag<&Options::reshard, Reshard::kAfterForward, Reshard::kAfterBackward>("reshard_after_forward",
                                                                               {Name::kFsdp, Name::kHsdp}),
      choice<&Options::backward_prefetch, kBackwardPrefetchNames>("backward_prefetch", {Name::kFsdp, Name::kHsdp}),
      {"gathers_in_flight",
       {Name::kFsdp, Name::kHsdp},
       [](const JsonReader& json, Options& options) { options.gathers_in_flight = json.integer(1, kMostInFlight); },
       [](const Options& options) { return Json(options.gathers_in_flight); }},
      choice<&Options::outer_units, kOuterUnitsNames>("outer_units", {Name::kFsdp, Name::kHsdp}),
      choice<&Options::reduce_stream, kReduceStreamNames>("reduce_stream", {Name::kFsdp, Name::kHsdp}),
      flag<&Options::flat_buffer, FlatBuffer::kParameters, FlatBuffer::kNone>("flat_parameters",
                                                                              {Name::kFsdp, Name::kHsdp}),
      choice<&Options::gradient_sync, kGradientSyncNames>("gradient_sync", {Name::kDdp, Name::kFsdp, Name::kHsdp}),
  };
  return kTable;
}

bool belongs(const Option& option, DataParallelName strategy) {
  return std::find(option.strategies.begin(), option.strategies.end(), strategy) != option.strategies.end();
}

double ddp_bucket(const Options& options, Bytes gradient_element) {
  return options.bucket / gradient_element;
}
double deepspeed_bucket(const Options& options, Bytes) {
  return std::min(options.reduce_bucket_size, options.allgather_bucket_size);
}

constexpr DataParallelTraits fully_sharded(Name strategy) {
  return {.strategy = strategy,
          .stages = {2, 3},
          .shards = Shards::kFlat,
          .gathers_for_use = kInEveryStage,
          .shards_gradients = kInEveryStage,
          .updates_on_host = kInEveryStage,
          .gradient_sync = GradientSync::kEveryMicroBatch};
}

constexpr std::array<DataParallelTraits, kDataParallelNames.rows.size()> kTraits = {
    {{.strategy = Name::kDdp,
      .stages = {0, 0},
      .gradient_sync = GradientSync::kLastMicroBatch,  // no_sync around the others, as every trainer has it
      .smallest_bucket = ddp_bucket},
     {.strategy = Name::kMegatron,
      .stages = {0, 1},
      .updates_on_host = kInEveryStage,
      .narrow_parameters = NarrowParameters::kGathered},
     {.strategy = Name::kDeepspeed,
      .stages = {0, 3},
      .gathers_for_use = 3,
      .shards_gradients = 2,
      .updates_on_host = 1,
      .refuses_pipeline = 2,  // deepspeed/runtime/pipe/engine.py asserts a stage below 2
      // deepspeed/runtime/zero/partitioned_param_coordinator.py: prefetches by a step's trace
      .refuses_mixed_order = 3,
      .smallest_bucket = deepspeed_bucket},
     fully_sharded(Name::kFsdp),
     fully_sharded(Name::kHsdp)}};

constexpr bool is_in_order() {
  for (std::size_t row = 0; row < kTraits.size(); ++row) {
    if (kTraits[row].strategy != static_cast<Name>(row)) {
      return false;
    }
  }
  return true;
}
static_assert(is_in_order());

void choose(DataParallelOptions& options, DataParallelName strategy) {
  if (options.strategy != strategy) {
    options.strategy = strategy;
    options.gradient_sync = data_parallel_traits(strategy).gradient_sync.value_or(GradientSync::kLastMicroBatch);
  }
}

}  // namespace

const DataParallelTraits& data_parallel_traits(DataParallelName strategy) {
  return kTraits[static_cast<std::size_t>(strategy)];
}

std::string strategies_text(FromStage DataParallelTraits::*trait) {
  std::vector<std::string> all;
  for (const DataParallelTraits& traits : kTraits) {
    const FromStage from = traits.*trait;
    if (from <= traits.stages.most) {
      const std::string_view name = kDataParallelNames.name_of(traits.strategy);
      all.push_back(from <= traits.stages.least ? std::string(name) : fmt::format("{} from stage {}", name, from));
    }
  }
  return join_names(all);
}

DataParallelOptions read_data_parallel(const JsonReader& json, DataParallelOptions base) {
  if (!json.value().is_object()) {
    choose(base, json.choice(kDataParallelNames));
    return base;
  }
  if (const auto strategy = json.find("strategy")) {
    choose(base, strategy->choice(kDataParallelNames));
  }
  std::vector<std::string> allowed = {"strategy"};
  for (const Option& option : option_table()) {
    if (belongs(option, base.strategy)) {
      allowed.emplace_back(option.key);
    }
  }
  for (const auto& [key, value] : json.members()) {
    if (std::find(allowed.begin(), allowed.end(), key) == allowed.end()) {
      value.fail(fmt::format("the strategy {} has no such option", kDataParallelNames.name_of(base.strategy)),
                 join_names(allowed), nearest_name(key, allowed).value_or(""));
    }
    for (const Option& option : option_table()) {
      if (option.key == key) {
        option.read(value, base);
      }
    }
  }
  return base;
}

ChosenDataParallel choose_data_parallel(const JsonReader& training, const DataParallelOptions& profile,
                                        int profile_zero_stage) {
  const auto stated = training.find("data_parallel");
  const auto stated_stage = training.find("zero_stage");
  DataParallelOptions options = stated ? read_data_parallel(*stated, profile) : profile;
  const auto traits = [&options]() -> const DataParallelTraits& { return data_parallel_traits(options.strategy); };
  const auto offers = [&traits](std::int64_t stage) {
    return stage >= traits().stages.least && stage <= traits().stages.most;
  };
  if (!stated_stage) {
    if (traits().shards == Shards::kFlat) {
      return {options, options.reshard == Reshard::kAfterForward ? 3 : 2};
    }
    return {options, offers(profile_zero_stage) ? profile_zero_stage : traits().stages.most};
  }
  const std::int64_t stage = stated_stage->integer(0, 3);
  if (!offers(stage) && !stated) {
    choose(options, stage == 0 ? DataParallelName::kDdp : DataParallelName::kDeepspeed);
    // deepspeed/runtime/zero/config.py: on in stage 3 unless configured.
    options.overlap_comm = stage == 3 ? CommunicationOverlap::kOn : CommunicationOverlap::kOff;
  }
  const Reshard reshard = stage == 3 ? Reshard::kAfterForward : Reshard::kAfterBackward;
  const bool states_reshard = stated && stated->value().is_object() && stated->has("reshard_after_forward");
  const bool contradicts = traits().shards == Shards::kFlat && states_reshard && options.reshard != reshard;
  if (!offers(stage) || contradicts) {
    const ZeroStages stages = traits().stages;
    stated_stage->fail(fmt::format("the strategy {} {}", kDataParallelNames.name_of(options.strategy),
                                   contradicts ? "reshards after forward in stage 3 only" : "has no such ZeRO stage"),
                       contradicts
                           ? fmt::format("{}", options.reshard == Reshard::kAfterForward ? stages.most : stages.least)
                       : stages.least == stages.most ? fmt::format("{}", stages.least)
                                                     : fmt::format("{} to {}", stages.least, stages.most));
  }
  options.reshard = reshard;
  return {options, static_cast<int>(stage)};
}

Json to_json(const DataParallelOptions& options) {
  Json out = {{"strategy", kDataParallelNames.name_of(options.strategy)}};
  for (const Option& option : option_table()) {
    if (belongs(option, options.strategy)) {
      out[std::string(option.key)] = option.write(options);
    }
  }
  return out;
}

}  // namespace trainyard
