#include "sim/studies/screening.hpp"

#include <algorithm>

#include "sim/memory/recompute.hpp"
#include "sim/program/communicators.hpp"
#include "sim/program/optimizer_step.hpp"
#include "sim/program/stage_work.hpp"
#include "sim/program/variation.hpp"

namespace trainyard {

namespace {

double slowest(const Variation& variation) {
  return variation.slowness.empty() ? 1.0 : *std::max_element(variation.slowness.begin(), variation.slowness.end());
}

}  // namespace

Screen::Screen(const Scenario& job)
    : job_(job),
      fabric_(build_fabric(job.cluster, static_cast<int>(job.gpus))),
      kernels_(job),
      network_(std::make_unique<ClusterNetworkCosts>(job_, fabric_)),
      slowness_(slowest(variation_of(job))) {}

// Members stand `stride` ranks apart.
Seconds Screen::collective(CollectiveOp op, Bytes size, std::int64_t members, std::int64_t stride) {
  if (members < 2) {
    return {};
  }
  const std::tuple key(op, size.value, members, stride);
  if (const auto known = collectives_.find(key); known != collectives_.end()) {
    return known->second;
  }
  std::vector<DeviceId> devices;
  for (std::int64_t i = 0; i < members; ++i) {
    devices.push_back(DeviceId::from(static_cast<std::size_t>(i * stride)));
  }
  const Seconds time = uncontended_time(network_->plan({.op = op, .size = size, .members = devices}), fabric_);
  collectives_.emplace(key, time);  // a forced algorithm that is impossible here has thrown
  return time;
}

// Ranks of the faster dimensions stand between the members, in the layout's order.
Screen::Members Screen::members_of(const Parallelism& layout, ParallelGroup group) {
  const std::int64_t members = trainyard::members_of(layout, group);
  switch (group) {
    case ParallelGroup::kTensor:
      return {members, RankGrid::dense(layout).stride(Dimension::kTensor)};
    case ParallelGroup::kExpertTensor:
      return {members, RankGrid::experts(layout).stride(Dimension::kTensor)};
    case ParallelGroup::kExpert:
      return {members, RankGrid::experts(layout).stride(Dimension::kExpert)};
    default:
      return {members, RankGrid::dense(layout).stride(Dimension::kContext)};
  }
}

void Screen::raise_times(PassTimes& times, const Scenario& scenario, const ShardShape& shard,
                         const KernelCosts& kernels) {
  const PricedModel model = price_model(scenario, shard, kernels);
  const auto time_of = [&](const PricedPass& pass) {
    Seconds host{};
    Seconds device{};
    for (const PricedStep& step : pass) {
      if (const auto* run = std::get_if<PricedRun>(&step)) {
        host += run->run.host;
        device += run->run.device * slowness_;
      } else if (const auto* call = std::get_if<GroupCollective>(&step)) {
        const Members members = members_of(scenario.layout, call->group);
        host += issue_time(scenario, call->op, static_cast<std::size_t>(members.count));
        if (call->overlapped_operators == 0) {
          device += collective(call->op, call->size, members.count, members.stride);
        }
      }
    }
    return max(host, device);
  };
  times.embedding = max(times.embedding, time_of(model.embedding_forward) + time_of(model.embedding_backward.whole));
  times.head = max(times.head, time_of(model.head_forward) + time_of(model.head_backward.whole));
  const bool recomputes = recompute_plan(scenario.training, 0).granularity != Recompute::kNone;
  for (const auto& [kind, layer] : model.layers) {
    const Seconds time =
        time_of(layer.forward) + time_of(recomputes ? layer.recomputed_backward.whole : layer.backward.whole);
    times.layers[kind] = max(times.layers[kind], time);
  }
}

const Screen::PassTimes& Screen::passes(const Scenario& scenario, const LayoutChoice& choice) {
  LayoutChoice key = choice;
  key.vpp = 1;
  // In Megatron's order the members of a pass's groups stand alike whatever stages and replicas there are.
  if (scenario.layout.order == Parallelism{}.order) {
    key.pp = key.dp = 1;
  }
  key.embedding = key.loss = EndPlacement::kWithLayers;
  key.zero_stage = 0;
  const auto [entry, is_new] = passes_.try_emplace(key);
  PassTimes& times = entry->second;
  if (!is_new) {
    return times;
  }
  ShardShape shard = memory_.layout(scenario, choice).shard;
  shard.micro_batch = scenario.training.micro_batch;
  for (const KernelCosts* kernels : kernels_.by_kind()) {
    raise_times(times, scenario, shard, *kernels);
  }
  // Of a network what crosses its middle stands for every boundary.
  const std::int64_t elements = boundary_elements(scenario.model, shard, {.first_layer = scenario.model.layers / 2});
  const bool sliced = scenario.layout.sequence_parallel == SequenceParallel::kOn;
  times.message =
      shard.activation_element * (static_cast<double>(elements) / static_cast<double>(sliced ? choice.tp : 1));
  return times;
}

Screen::Passage Screen::passage(const Scenario& scenario, const Layout& layout, const PassTimes& pass) {
  const auto time_of = [&](const Chunk& chunk) {
    Seconds time{};
    for (std::int64_t layer = 0; layer < chunk.layers; ++layer) {
      time += pass.layers.size() == 1 ? pass.layers.begin()->second
                                      : pass.layers.at(layer_kind(scenario.model, chunk.first_layer + layer));
    }
    return time + (chunk.embedding == Holds::kYes ? pass.embedding : Seconds{}) +
           (chunk.head == Holds::kYes ? pass.head : Seconds{});
  };
  // In a loop all stages are at the same chunk; elsewhere the stage with the most to do sets the pace.
  const bool looped = scenario.placement() == Placement::kLooped;
  Passage out;
  for (std::size_t c = 0; c < layout.stages.front().chunks.size(); ++c) {
    Seconds slowest{};
    for (const Stage& stage : layout.stages) {
      slowest = max(slowest, time_of(stage.chunks[c]));
    }
    out.all += looped ? slowest : Seconds{};
    out.largest = max(out.largest, slowest);
  }
  for (const Stage& stage : looped ? std::vector<Stage>{} : layout.stages) {
    Seconds time{};
    for (const Chunk& chunk : stage.chunks) {
      time += time_of(chunk);
    }
    // A bidirectional pipeline's chunks are of two replicas: a micro-batch passes one of them.
    out.all = max(out.all, scenario.placement() == Placement::kBidirectional ? time * 0.5 : time);
  }
  return out;
}

Screen::Sharing Screen::sharing(const Scenario& scenario, const ParameterShare& held) {
  const Parallelism& layout = scenario.layout;
  const Training& training = scenario.training;
  const RankGrid grid = RankGrid::dense(layout);
  const std::int64_t replicas_apart = grid.stride(Dimension::kData);
  // Context parallelism shares the sum: of two dimensions the nearer neighbours count.
  const std::int64_t apart =
      layout.cp == 1 ? replicas_apart : std::min(replicas_apart, grid.stride(Dimension::kContext));
  const std::int64_t experts_apart = RankGrid::experts(layout).stride(Dimension::kData);
  const auto among = [&](CollectiveOp op, Bytes element) {
    return collective(op, element * static_cast<double>(held.shared), layout.hsdp_shard, apart) +
           collective(op, element * static_cast<double>(held.experts), layout.expert_shard(), experts_apart);
  };
  const Bytes gradient = bytes_per_element(training.grad_dtype);
  const Bytes parameter = bytes_per_element(training.precision);
  const int stage = training.zero_stage;
  Sharing out;
  const CollectiveOp reduce = stage == 0 ? CollectiveOp::kAllReduce : CollectiveOp::kReduceScatter;
  (training.reduces_each_micro_batch() ? out.per_micro_batch : out.per_step) += among(reduce, gradient);
  if (stage == 0) {
    return out;
  }
  const Seconds gather = among(CollectiveOp::kAllGather, parameter);
  // Stage 3 and FSDP's stage 2 gather before use, the others after the update.
  if (training.does(&DataParallelTraits::gathers_for_use)) {
    out.per_micro_batch += gather * (stage == 3 ? 2.0 : 1.0);
  } else {
    out.per_step += gather;
  }
  return out;
}

Seconds Screen::update(const Scenario& scenario, const ParameterShare& held) const {
  const Parallelism& layout = scenario.layout;
  const bool sharded = scenario.training.zero_stage > 0;
  const OptimizerShard shard{
      .parameters =
          static_cast<double>(held.trainable_shared) / static_cast<double>(sharded ? layout.hsdp_shard : 1) +
          static_cast<double>(held.trainable_experts) / static_cast<double>(sharded ? layout.expert_shard() : 1),
      .gradient = bytes_per_element(scenario.training.grad_dtype),
      .model_copy = bytes_per_element(scenario.training.precision)};
  Seconds slowest_kind{};
  for (const KernelCosts* kernels : kernels_.by_kind()) {
    slowest_kind = max(slowest_kind, optimizer_update(scenario, shard, *kernels).device * slowness_);
  }
  return slowest_kind;
}

Seconds Screen::step(const Scenario& scenario, const LayoutChoice& choice) {
  const PassTimes& pass = passes(scenario, choice);
  const Layout& layout = memory_.layout(scenario, choice);
  const Passage passing = passage(scenario, layout, pass);
  ParameterShare held;
  for (const ParameterShare& share : layout.stage_shares) {
    held = share.total() > held.total() ? share : held;
  }
  const Sharing shared = sharing(scenario, held);
  const auto micro_batches = static_cast<double>(scenario.micro_batches());
  const double bubble = static_cast<double>(choice.pp - 1);
  // Every chunk of every micro-batch waits for its messages.
  const std::int64_t next_stage = layout.grid.stride(Dimension::kPipeline);
  Seconds exchanges{};
  if (choice.pp > 1) {
    const Seconds exchange = collective(CollectiveOp::kSendRecv, pass.message, 2, next_stage) * 2.0;  // both ways
    exchanges = exchange * (micro_batches * static_cast<double>(choice.vpp) + bubble);
  }
  return max(passing.all, shared.per_micro_batch) * micro_batches + passing.largest * bubble + exchanges +
         shared.per_step + update(scenario, held);
}

}  // namespace trainyard
