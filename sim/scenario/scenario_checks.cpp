#include "sim/scenario/scenario_checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "sim/scenario/pipeline_keys.hpp"
#include "sim/scenario/place.hpp"
#include "sim/schedules/schedule.hpp"

namespace trainyard {
namespace {

void check_order(const Place& place, const Parallelism& layout) {
  std::array<std::string_view, 5> dimensions = {"tp", "cp", "ep", "dp", "pp"};
  std::vector<std::string> given;
  std::size_t start = 0;
  while (start <= layout.order.size()) {
    const std::size_t dash = std::min(layout.order.find('-', start), layout.order.size());
    given.push_back(layout.order.substr(start, dash - start));
    start = dash + 1;
  }
  std::sort(given.begin(), given.end());
  std::sort(dimensions.begin(), dimensions.end());
  if (!std::equal(given.begin(), given.end(), dimensions.begin(), dimensions.end())) {
    place.fail("/layout/order", "the rank order must name each dimension once", layout.order,
               "a permutation of tp-cp-ep-dp-pp", "use tp-cp-ep-dp-pp, Megatron's default");
  }
}

// "1, 5, 25" of 25.
std::string divisors_text(std::int64_t number) {
  std::string out;
  for (std::int64_t divisor = 1; divisor <= number; ++divisor) {
    if (number % divisor == 0) {
      out += fmt::format("{}{}", out.empty() ? "" : ", ", divisor);
    }
  }
  return out;
}

void check_context(const Place& place, const Scenario& scenario) {
  const Parallelism& layout = scenario.layout;
  if (layout.cp == 1) {
    return;
  }
  // Every rank holds an early and a late piece of the sequence, so that all have the same causal work.
  if (scenario.training.seq_len % (2 * layout.cp) != 0) {
    place.fail("/layout/cp", "a sequence must be divisible into 2 * cp pieces", fmt::format("{}", layout.cp),
               fmt::format("a cp such that 2 * cp divides {} tokens", scenario.training.seq_len),
               "choose a smaller power of two");
  }
  if (layout.context_parallel == ContextParallel::kHierarchical && layout.cp % layout.context_inner != 0) {
    place.fail("/layout/cp_inner", "the ranks that exchange heads must divide cp",
               fmt::format("{}", layout.context_inner), fmt::format("a divisor of cp {}", layout.cp),
               "use the GPUs of one node");
  }
  if (layout.context_parallel == ContextParallel::kHierarchical && layout.context_inner == 1) {
    place.fail("/layout/cp_inner", "no heads are exchanged within groups of one rank", "1",
               fmt::format("a divisor of cp {} above 1", layout.cp), "state cp_inner, or use cp_type ring");
  }
  const bool goes_round =
      layout.context_parallel == ContextParallel::kRing || layout.context_parallel == ContextParallel::kHierarchical;
  if (goes_round && scenario.model.window > 0 && scenario.model.window < scenario.training.seq_len) {
    place.fail("/layout/cp_type", "a ring passes all keys by, also those outside of a sliding window",
               fmt::format("{} with windows of {} keys", kContextParallelNames.name_of(layout.context_parallel),
                           scenario.model.window),
               "all_gather, ulysses", "use cp_type all_gather");
  }
  const bool ulysses = layout.context_parallel == ContextParallel::kUlysses;
  const std::int64_t exchanging = ulysses ? layout.cp : layout.context_inner;
  const bool exchanges_heads = ulysses || layout.context_parallel == ContextParallel::kHierarchical;
  if (exchanges_heads && scenario.model.heads % (layout.tp * exchanging) != 0) {
    place.fail("/layout/cp_type", "the heads of a rank must be divisible by the ranks that exchange them",
               fmt::format("{} heads over tp {} and {} ranks", scenario.model.heads, layout.tp, exchanging),
               "heads / tp divisible by the exchanging ranks", "use cp_type ring");
  }
}

void check_experts(const Place& place, const Scenario& scenario) {
  const Parallelism& layout = scenario.layout;
  const std::int64_t stage_ranks = layout.tp * layout.cp * layout.dp;
  if (!scenario.model.experts) {
    if (scenario.model.network && scenario.model.network->has_tables()) {
      return;
    }
    if (layout.ep * layout.etp != 1) {
      place.fail(layout.ep != 1 ? "/layout/ep" : "/layout/etp", "the model has no experts to share out",
                 fmt::format("{}", layout.ep != 1 ? layout.ep : layout.etp), "1", "leave it out");
    }
    return;
  }
  if (scenario.model.experts->count % layout.ep != 0) {
    place.fail("/layout/ep", "the experts must be divisible by ep", fmt::format("{}", layout.ep),
               fmt::format("a divisor of {} experts", scenario.model.experts->count), "choose a smaller ep");
  }
  if (stage_ranks % (layout.ep * layout.etp) != 0) {
    place.fail("/layout/ep", "ep * etp must divide the ranks of a stage",
               fmt::format("ep {} * etp {}", layout.ep, layout.etp),
               fmt::format("a divisor of tp * cp * dp = {}", stage_ranks), "lower ep or etp");
  }
  if (layout.tp > 1 && layout.sequence_parallel == SequenceParallel::kOff) {
    // megatron/training/arguments.py, validate_args: mixtures of experts with tensor parallelism need it. Without it
    // every tensor-parallel rank would route the same tokens.
    place.fail("/layout/sequence_parallel", "experts beside tensor parallelism need sequence parallelism",
               fmt::format("false with tp {}", layout.tp), "true, or tp 1", "set sequence_parallel to true");
  }
  // Both grids of ranks must agree about who is in which pipeline stage.
  if (layout.pp > 1 && !layout.order.ends_with("pp")) {
    place.fail("/layout/order", "with experts the pipeline must vary slowest", layout.order, "an order that ends in pp",
               "use tp-cp-ep-dp-pp");
  }
}

// Two passes run beside each other where the schedule joins them. Source: Megatron-LM
// core/transformer/transformer_config.py, checks of overlap_moe_expert_parallel_comm.
void check_expert_overlap(const Place& place, const Scenario& scenario) {
  const Parallelism& layout = scenario.layout;
  const Training& training = scenario.training;
  if (layout.ep_overlap == ExpertOverlap::kOff) {
    return;
  }
  constexpr std::string_view kKey = "/layout/ep_overlap";
  if (layout.ep == 1 || training.experts.dispatcher == TokenDispatcher::kAllGather) {
    place.fail(kKey, "there is no all-to-all of experts to overlap", layout.ep == 1 ? "ep 1" : "dispatcher all_gather",
               "ep above 1, dispatcher all_to_all or deep_ep", "leave ep_overlap out");
  }
  if (training.recompute == Recompute::kFull) {
    place.fail(kKey, "a layer that is recomputed as a whole leaves its exchanges no neighbour", "recompute full",
               "none, selective", "recompute modules selectively");
  }
  if (training.does(&DataParallelTraits::gathers_for_use)) {
    place.fail(kKey, "parameters that are gathered for one pass would be freed under the other",
               fmt::format("{} in ZeRO stage {}", kDataParallelNames.name_of(training.data_parallel.strategy),
                           training.zero_stage),
               "ddp, megatron, deepspeed up to stage 2", "set training.data_parallel or zero_stage");
  }
  const JoinedPasses joined =
      training.schedule_table ? JoinedPasses::kNowhere : schedule_traits(training.schedule).joined;
  if (joined == JoinedPasses::kNowhere || (joined == JoinedPasses::kOnOneStage && layout.pp > 1)) {
    place.fail(kKey, "the schedule joins no forward pass with a backward pass",
               fmt::format("{} with pp {}",
                           training.schedule_table ? training.schedule_table->file
                                                   : std::string(kScheduleNames.name_of(training.schedule)),
                           layout.pp),
               "interleaved, dualpipe, dualpipe-v; 1f1b with pp 1", "set training.schedule");
  }
}

// Ranks of one node that hold the same parameters: where hybrid sharding keeps a copy of the model by default.
std::int64_t data_ranks_of_a_node(const Scenario& scenario) {
  const std::int64_t of_node = std::max<std::int64_t>(1, scenario.cluster.gpus_per_node / scenario.layout.tp);
  return std::gcd(of_node, scenario.layout.data_ranks());
}

// Every copy of the model has all of its experts: an expert-parallel group does not span two copies.
void check_expert_copies(const Place& place, const Scenario& scenario) {
  const Parallelism& layout = scenario.layout;
  const std::int64_t copies = layout.data_ranks() / layout.hsdp_shard;
  if (scenario.model.experts && layout.expert_dp() % copies != 0) {
    place.fail("/layout/hsdp_shard", "every copy of the model needs all experts",
               fmt::format("{} copies, each expert held {} times", copies, layout.expert_dp()),
               "a number of copies that divides the times an expert is held", "raise hsdp_shard or lower ep");
  }
}

bool has_module(const ModelSpec& model, RecomputeModule module) {
  switch (module) {
    case RecomputeModule::kLatentUp:
      return model.latent.has_value();
    case RecomputeModule::kMlp:
      return has_layer(model, FeedForward::kDense);
    case RecomputeModule::kExperts:
      return has_layer(model, FeedForward::kExperts);
    case RecomputeModule::kNorm:
    case RecomputeModule::kCoreAttention:
    case RecomputeModule::kActivation:
      break;
  }
  return true;
}

std::vector<std::string> modules_of(const ModelSpec& model) {
  std::vector<std::string> names;
  for (const auto& [name, module] : kRecomputeModuleNames.rows) {
    if (has_module(model, module)) {
      names.emplace_back(name);
    }
  }
  return names;
}

void check_recompute(const Place& place, const Scenario& scenario) {
  const Training& training = scenario.training;
  const bool is_full = training.recompute == Recompute::kFull;
  const std::string granularity(kRecomputeNames.name_of(training.recompute));
  if (!is_full && (training.recompute_layers != 1 || training.recompute_method != RecomputeMethod::kUniform)) {
    place.fail("/training/recompute", "recompute_method and recompute_layers belong to full recomputation", granularity,
               "full", "set recompute to full, or leave them out");
  }
  if (training.recompute != Recompute::kSelective && !training.recompute_modules.empty()) {
    place.fail("/training/recompute", "recompute_modules belong to selective recomputation", granularity, "selective",
               "set recompute to selective, or leave recompute_modules out");
  }
  for (const RecomputeModule module : training.recompute_modules) {
    if (!has_module(scenario.model, module)) {
      place.fail("/training/recompute_modules", "the model has no such part",
                 std::string(kRecomputeModuleNames.name_of(module)), join_names(modules_of(scenario.model)),
                 "leave it out");
    }
  }
}

// Whether every micro-batch runs forward and whole backward before the next one.
bool takes_turns(const PassOrder& order) {
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (order[i].kind != (i % 2 == 0 ? PassKind::kForward : PassKind::kBackward) || order[i].chunk != 0) {
      return false;
    }
  }
  return true;
}

// Whether the passes of one stage alone do. A few micro-batches show the order of all of a schedule's.
bool passes_take_turns(const Scenario& scenario) {
  constexpr std::int64_t kFew = 4;
  if (const auto& table = scenario.training.schedule_table) {
    return takes_turns(table->rows.front());
  }
  const ScheduleShape shape{.stages = 1,
                            .chunks = static_cast<std::int32_t>(scenario.layout.vpp),
                            .micro_batches = static_cast<std::int32_t>(std::min(scenario.micro_batches(), kFew)),
                            .placement = scenario.placement()};
  return takes_turns(pass_orders(scenario.training.schedule, shape).front());
}

// A network is cut into stages of whole units; every replica reads samples of its own.
void check_network(const Place& place, const Scenario& scenario) {
  struct Cut {
    std::string_view pointer;
    std::int64_t ranks;
  };
  const Parallelism& layout = scenario.layout;
  const bool has_tables = scenario.model.network->has_tables();
  if (has_tables && layout.pp > 1) {
    place.fail("/layout/pp", "all ranks share out the tables of a network", fmt::format("{}", layout.pp), "1",
               "leave it out");
  }
  if (has_tables && layout.ep != layout.dp) {
    place.fail("/layout/ep", "all replicas share out the tables of a network", fmt::format("{}", layout.ep),
               fmt::format("dp, {}", layout.dp), "leave ep out");
  }
  for (const Cut& cut :
       {Cut{"/layout/tp", layout.tp}, Cut{"/layout/cp", layout.cp}, Cut{"/layout/ep", has_tables ? 1 : layout.ep}}) {
    if (cut.ranks > 1) {
      place.fail(std::string(cut.pointer),
                 "networks of layers are cut between their units alone: no rank has a part of a layer",
                 fmt::format("{}", cut.ranks), "1",
                 "leave it out; use pp to share out the units, or data_parallel fsdp to cut the states");
    }
  }
  if (scenario.training.seq_len != 1) {
    place.fail("/training/seq_len", "a sample of a network is one token", fmt::format("{}", scenario.training.seq_len),
               "1", "leave it out");
  }
  if (scenario.training.recompute == Recompute::kSelective) {
    place.fail("/training/recompute", "modules that are recomputed selectively are those of transformers", "selective",
               "none, full", "use full, which repeats whole units");
  }
}

}  // namespace

void check_layout(const Scenario& scenario, const std::string& file) {
  const Place place{file};
  const Parallelism& layout = scenario.layout;
  const ModelSpec& model = scenario.model;
  const auto number = [](std::int64_t value) { return fmt::format("{}", value); };
  if (scenario.gpus % (layout.tp * layout.pp * layout.cp) != 0) {
    place.fail("/layout", "tp * pp * cp must divide the number of GPUs",
               fmt::format("{} * {} * {} on {} GPUs", layout.tp, layout.pp, layout.cp, scenario.gpus),
               fmt::format("a product that divides {}", scenario.gpus), "choose other tp, pp or cp, or other gpus");
  }
  if (layout.tp * layout.pp * layout.cp * layout.dp != scenario.gpus) {
    place.fail("/layout", "tp * pp * cp * dp must equal the number of GPUs",
               fmt::format("{} * {} * {} * {} on {} GPUs", layout.tp, layout.pp, layout.cp, layout.dp, scenario.gpus),
               fmt::format("a product of {}", scenario.gpus), "leave dp out: it becomes what remains");
  }
  if (model.network) {
    check_network(place, scenario);
  }
  if (model.heads % layout.tp != 0) {
    place.fail("/layout/tp", "attention heads must be divisible by tp", number(layout.tp),
               fmt::format("a divisor of {} heads: {}", model.heads, divisors_text(model.heads)),
               "choose one of these");
  }
  check_order(place, layout);
  check_context(place, scenario);
  check_experts(place, scenario);
}

void settle_sharding(Scenario& scenario, const std::string& file) {
  const Place place{file};
  Parallelism& layout = scenario.layout;
  DataParallelName& strategy = scenario.training.data_parallel.strategy;
  const bool stated = layout.hsdp_shard != 0;
  const std::int64_t ranks = layout.data_ranks();
  if (!stated) {
    layout.hsdp_shard = strategy == DataParallelName::kHsdp ? data_ranks_of_a_node(scenario) : ranks;
    check_expert_copies(place, scenario);
    return;
  }
  if (!scenario.training.has_flat_shards()) {
    place.fail("/layout/hsdp_shard", "only FSDP shards in groups of ranks",
               std::string(kDataParallelNames.name_of(strategy)), "data_parallel fsdp or hsdp",
               "leave hsdp_shard out, or set training.data_parallel to hsdp");
  }
  if (ranks % layout.hsdp_shard != 0) {
    place.fail("/layout/hsdp_shard", "the shard group must divide the data-parallel ranks",
               fmt::format("{}", layout.hsdp_shard), fmt::format("a divisor of {}", ranks),
               fmt::format("use {}", std::gcd(layout.hsdp_shard, ranks)));
  }
  strategy = layout.hsdp_shard < ranks ? DataParallelName::kHsdp : DataParallelName::kFsdp;
  check_expert_copies(place, scenario);
}

void check_training(const Scenario& scenario, const std::string& file) {
  const Place place{file};
  const Parallelism& layout = scenario.layout;
  const Training& training = scenario.training;
  if (auto refused = refused_batch(batch_split(scenario))) {
    refused->file = file;
    throw UserError(*refused);
  }
  check_recompute(place, scenario);
  check_expert_overlap(place, scenario);
  if (training.does(&DataParallelTraits::refuses_pipeline) && layout.pp > 1) {
    place.fail("/training/zero_stage", "ZeRO stages 2 and 3 are DeepSpeed's, whose pipelines exclude them",
               fmt::format("{} with pp {}", training.zero_stage, layout.pp), "0, 1",
               "use 1, or set training.data_parallel to fsdp");
  }
  if (training.does(&DataParallelTraits::refuses_mixed_order) && !passes_take_turns(scenario)) {
    place.fail(
        "/training/schedule", "DeepSpeed's ZeRO stage 3 runs every micro-batch forward and then whole backward",
        std::string(training.schedule_table ? "a table of another order" : kScheduleNames.name_of(training.schedule)),
        "1f1b", "use 1f1b, or set training.data_parallel to fsdp");
  }
  if (scenario.model.positions == Positions::kLearned && training.seq_len > scenario.model.seq_len) {
    place.fail("/training/seq_len", "the model has fewer learned positions", fmt::format("{}", training.seq_len),
               fmt::format("at most {}", scenario.model.seq_len), "shorten seq_len or raise the model's");
  }
}

}  // namespace trainyard
