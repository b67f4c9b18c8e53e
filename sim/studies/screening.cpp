#include "sim/studies/screening.hpp"

#include <algorithm>

#include "sim/layout/recompute.hpp"
#include "sim/program/communicators.hpp"
#include "sim/program/optimizer_step.hpp"
#include "sim/program/stage_work.hpp"
#include "sim/program/variation.hpp"

namespace trainyard {

void apply_choice(Scenario& scenario, const LayoutChoice& choice) {
  scenario.layout.tp = choice.tp;
  scenario.layout.pp = choice.pp;
  scenario.layout.vpp = choice.vpp;
  scenario.layout.dp = choice.dp;
  scenario.layout.sequence_parallel =
      choice.tp > 1 ? scenario.framework.default_sequence_parallel : SequenceParallel::kOff;
  scenario.training.micro_batch = choice.micro_batch;
  scenario.training.recompute = choice.recompute;
  scenario.training.zero_stage = choice.zero_stage;
  scenario.training.schedule = choice.vpp > 1 ? ScheduleName::kInterleaved : ScheduleName::kOneFOneB;
}

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
      parameters_(static_cast<double>(parameters(job.model))),
      slowness_(slowest(variation_of(job))) {}

// Members stand `stride` ranks apart.
Seconds Screen::collective(CollectiveOp op, Bytes size, std::int64_t members, std::int64_t stride) {
  if (members < 2) {
    return {};
  }
  const auto [entry, is_new] = collectives_.try_emplace({op, size.value, members, stride});
  if (is_new) {
    std::vector<DeviceId> devices;
    for (std::int64_t i = 0; i < members; ++i) {
      devices.push_back(DeviceId::from(static_cast<std::size_t>(i * stride)));
    }
    entry->second = uncontended_time(network_->plan({.op = op, .size = size, .members = devices}), fabric_);
  }
  return entry->second;
}

// Ranks of the faster dimensions stand between the members, in Megatron's order.
Screen::Members Screen::members_of(ParallelGroup group) const {
  const Parallelism& layout = job_.layout;
  switch (group) {
    case ParallelGroup::kTensor:
      return {layout.tp, 1};
    case ParallelGroup::kExpertTensor:
      return {layout.etp, 1};
    case ParallelGroup::kExpert:
      return {layout.ep, layout.etp};
    default:
      return {layout.cp, layout.tp};
  }
}

void Screen::raise_times(PassTimes& times, const ShardShape& shard, const KernelCosts& kernels) {
  const PricedModel model = price_model(job_, shard, kernels);
  const auto time_of = [&](const PricedPass& pass) {
    Seconds host{};
    Seconds device{};
    for (const PricedStep& step : pass) {
      if (const auto* run = std::get_if<PricedRun>(&step)) {
        host += run->run.host;
        device += run->run.device * slowness_;
      } else if (const auto* call = std::get_if<GroupCollective>(&step)) {
        const Members members = members_of(call->group);
        host += issue_time(job_, call->op, static_cast<std::size_t>(members.count));
        if (call->overlapped_operators == 0) {
          device += collective(call->op, call->size, members.count, members.stride);
        }
      }
    }
    return max(host, device);
  };
  times.embedding = max(times.embedding, time_of(model.embedding_forward) + time_of(model.embedding_backward.whole));
  times.head = max(times.head, time_of(model.head_forward) + time_of(model.head_backward.whole));
  const bool recomputes = recompute_plan(job_.training, 0).granularity != Recompute::kNone;
  for (const auto& [kind, layer] : model.layers) {
    const Seconds time =
        time_of(layer.forward) + time_of(recomputes ? layer.recomputed_backward.whole : layer.backward.whole);
    times.layers[kind] = max(times.layers[kind], time);
  }
}

const Screen::PassTimes& Screen::passes(const LayoutChoice& choice) {
  const auto [entry, is_new] = passes_.try_emplace({choice.tp, choice.micro_batch, choice.recompute});
  PassTimes& times = entry->second;
  if (!is_new) {
    return times;
  }
  const Layout layout = make_layout(job_);
  for (const KernelCosts* kernels : kernels_.by_kind()) {
    raise_times(times, layout.shard, *kernels);
  }
  const std::int64_t tokens = job_.training.micro_batch * job_.training.seq_len;
  const bool sliced = job_.layout.sequence_parallel == SequenceParallel::kOn;
  times.message = layout.shard.activation_element *
                  (static_cast<double>(tokens * job_.model.hidden) / static_cast<double>(sliced ? choice.tp : 1));
  return times;
}

Seconds Screen::step(const LayoutChoice& choice) {
  apply_choice(job_, choice);
  const PassTimes& pass = passes(choice);
  Seconds slowest{};
  double most_layers = 0.0;
  for (const Stage& stage : memory_.layout(job_).stages) {
    Seconds time{};
    for (const Chunk& chunk : stage.chunks) {
      for (std::int64_t layer = 0; layer < chunk.layers; ++layer) {
        time += pass.layers.size() == 1 ? pass.layers.begin()->second
                                        : pass.layers.at(layer_kind(job_.model, chunk.first_layer + layer));
      }
      time += (chunk.embedding == Holds::kYes ? pass.embedding : Seconds{}) +
              (chunk.head == Holds::kYes ? pass.head : Seconds{});
    }
    slowest = max(slowest, time);
    most_layers = std::max(most_layers, static_cast<double>(stage.layers()));
  }
  const auto micro_batches = static_cast<double>(job_.micro_batches());
  const double chunks = static_cast<double>(choice.vpp);
  const double bubble = static_cast<double>(choice.pp - 1) / chunks;
  // Every chunk of every micro-batch waits for its messages.
  const std::int64_t next_stage = std::max<std::int64_t>(1, std::min(job_.gpus / 2, choice.tp * choice.dp));
  const Seconds exchange = collective(CollectiveOp::kSendRecv, pass.message, 2, next_stage) * 2.0;  // both ways
  const Seconds exchanges = choice.pp > 1 ? exchange * (micro_batches * chunks + bubble) : Seconds{};
  // The fullest stage's share of the layers' parameters, reduced in the gradient's format and gathered in the model's.
  const double held =
      parameters_ / static_cast<double>(job_.model.layers) * most_layers / static_cast<double>(choice.tp);
  const Bytes gradients = bytes_per_element(job_.training.grad_dtype) * held;
  const bool sharded = choice.zero_stage > 0;
  const Seconds reduction =
      sharded ? collective(CollectiveOp::kReduceScatter, gradients, choice.dp, choice.tp) +
                    collective(CollectiveOp::kAllGather, bytes_per_element(job_.training.precision) * held, choice.dp,
                               choice.tp)
              : collective(CollectiveOp::kAllReduce, gradients, choice.dp, choice.tp);
  const OptimizerShard shard{.parameters = sharded ? held / static_cast<double>(choice.dp) : held,
                             .gradient = bytes_per_element(job_.training.grad_dtype),
                             .model_copy = bytes_per_element(job_.training.precision)};
  Seconds update{};
  for (const KernelCosts* kernels : kernels_.by_kind()) {
    update = max(update, optimizer_update(job_, shard, *kernels).device * slowness_);
  }
  return slowest * (micro_batches + bubble) + exchanges + reduction + update;
}

Bytes Screen::memory(const LayoutChoice& choice) {
  apply_choice(job_, choice);
  return memory_.peak(job_);
}

}  // namespace trainyard
