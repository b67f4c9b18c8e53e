#include "sim/program/stage_program.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/layout/recompute.hpp"
#include "sim/program/data_parallel/strategy.hpp"
#include "sim/program/optimizer_step.hpp"
#include "sim/program/pipeline_messages.hpp"

namespace trainyard {
namespace {

// How a layer's collective of a group appears in the program.
struct GroupUse {
  GroupKind kind;
  Category category;
  StreamName stream;
};

constexpr GroupUse use_of(ParallelGroup group) {
  switch (group) {
    case ParallelGroup::kContext:
      return {GroupKind::kContext, Category::kContext, StreamName::kContext};
    case ParallelGroup::kContextInner:
      return {GroupKind::kContextInner, Category::kContext, StreamName::kContext};
    case ParallelGroup::kContextOuter:
      return {GroupKind::kContextOuter, Category::kContext, StreamName::kContext};
    case ParallelGroup::kExpert:
      return {GroupKind::kExpert, Category::kExpert, StreamName::kExpert};
    case ParallelGroup::kExpertTensor:
      return {GroupKind::kExpertTensor, Category::kExpert, StreamName::kTensor};
    case ParallelGroup::kTensor:
      break;
  }
  return {GroupKind::kTensor, Category::kTensor, StreamName::kTensor};
}

PassRole role_of(PassKind kind) {
  switch (kind) {
    case PassKind::kForward:
      return PassRole::kForward;
    case PassKind::kBackward:
      return PassRole::kBackward;
    case PassKind::kInputGradient:
      return PassRole::kInputGradient;
    case PassKind::kWeightGradient:
      break;
  }
  return PassRole::kWeightGradient;
}

class StageProgram {
 public:
  StageProgram(const Scenario& scenario, const Layout& layout, const PricedModel& model, const KernelCosts& costs,
               std::int32_t stage, Communicators& communicators, NameIndex& names)
      : scenario_(scenario),
        layout_(layout),
        model_(model),
        costs_(costs),
        stage_(stage),
        communicators_(communicators),
        builder_(names),
        messages_(scenario, layout, stage, communicators, builder_),
        data_(make_data_parallel({scenario, layout, costs, stage, communicators, builder_})) {}

  RankProgram build(const StageActionList& actions) {
    const ScheduleShape shape = shape_of(scenario_);
    // Each direction of a bidirectional pipeline takes half the micro-batches.
    const std::int32_t passes =
        shape.placement == Placement::kBidirectional ? shape.micro_batches / 2 : shape.micro_batches;
    inputs_left_.assign(static_cast<std::size_t>(shape.chunks), passes);
    weights_left_ = inputs_left_;
    builder_.host_work("step", scenario_.framework.host.step);
    const double buffer = data_->update_share().gradient_buffer;
    if (buffer > 0.0) {
      builder_.kernels(Category::kOptimizer, "zero gradients", zero_gradients(scenario_, buffer, costs_));
    }
    for (std::size_t i = 0; i < actions.size(); ++i) {
      switch (actions[i].kind) {
        case ActionKind::kPass:
          run(actions, i);
          break;
        case ActionKind::kExchange:
          messages_.exchange(actions[i]);
          break;
        case ActionKind::kPost:
          messages_.post(actions[i].messages.front());
          break;
      }
    }
    builder_.set_label({});
    data_->after_last_backward();
    reduce_replicas();
    reduce_tied_embedding();
    optimize();
    builder_.host_wait("end of step");
    return builder_.take();
  }

 private:
  const Chunk& chunk(std::int32_t index) const {
    return layout_.stages[static_cast<std::size_t>(stage_)].chunks[static_cast<std::size_t>(index)];
  }
  // Index of a chunk's first unit in the layout's list of the stage.
  std::size_t first_unit(std::int32_t index) const {
    const std::vector<ParameterUnit>& units = layout_.units[static_cast<std::size_t>(stage_)];
    std::size_t first = 0;
    while (first < units.size() && units[first].chunk != index) {
      ++first;
    }
    return first;
  }

  void run(const StageActionList& actions, std::size_t i) {
    const StagePass& pass = actions[i].pass;
    messages_.await_input(pass);
    if (pass.joined == Joined::kWithNext) {
      messages_.await_input(actions[i + 1].pass);
    }
    builder_.set_label(
        {.micro_batch = pass.micro_batch, .chunk = static_cast<std::int16_t>(pass.chunk), .role = role_of(pass.kind)});
    switch (pass.kind) {
      case PassKind::kForward:
        forward(pass.chunk);
        break;
      case PassKind::kBackward:
        --inputs_left_[static_cast<std::size_t>(pass.chunk)];
        backward(pass.chunk, &PricedBackward::whole, --weights_left_[static_cast<std::size_t>(pass.chunk)]);
        break;
      case PassKind::kInputGradient:
        backward(pass.chunk, &PricedBackward::inputs, --inputs_left_[static_cast<std::size_t>(pass.chunk)]);
        break;
      case PassKind::kWeightGradient:
        backward(pass.chunk, &PricedBackward::weights, --weights_left_[static_cast<std::size_t>(pass.chunk)]);
        break;
    }
  }

  void forward(std::int32_t index) {
    builder_.host_work("forward pass", scenario_.framework.host.micro_batch);
    UnitPass unit{.unit = first_unit(index)};
    const auto forward_unit = [&](const PricedPass& steps) {
      data_->before_forward(unit);
      pass(steps);
      data_->after_forward(unit);
      ++unit.unit;
    };
    if (chunk(index).embedding == Holds::kYes) {
      forward_unit(model_.embedding_forward);
    }
    for (std::int64_t layer = 0; layer < chunk(index).layers; ++layer) {
      forward_unit(model_.layers.at(layer_kind(scenario_.model, chunk(index).first_layer + layer)).forward);
    }
    if (chunk(index).head == Holds::kYes) {
      forward_unit(model_.head_forward);
    }
  }

  // A whole backward pass, or one of its two halves, before `left` more of the same chunk. A unit's backward pass
  // begins with its inputs' gradients and ends with its weights'.
  void backward(std::int32_t index, PricedPass PricedBackward::*part, std::int32_t left) {
    const bool has_inputs = part != &PricedBackward::weights;
    const bool has_weights = part != &PricedBackward::inputs;
    if (has_inputs) {  // weight gradients wait in a queue: no autograd, no schedule to walk
      builder_.host_work("backward pass", scenario_.framework.host.micro_batch);
    }
    const bool is_last = left == 0;
    const bool has_embedding = chunk(index).embedding == Holds::kYes;
    const bool has_head = chunk(index).head == Holds::kYes;
    const auto units = static_cast<std::size_t>(chunk(index).layers) + (has_embedding ? 1U : 0U) + (has_head ? 1U : 0U);
    UnitPass unit{.unit = first_unit(index) + units, .micro_batch = is_last ? MicroBatch::kLast : MicroBatch::kEarlier};
    const auto backward_unit = [&](const PricedBackward& steps) {
      --unit.unit;
      if (has_inputs) {
        data_->before_backward(unit);
      }
      pass(steps.*part);
      if (has_weights) {
        data_->after_backward(unit);
      }
    };
    if (has_head) {
      backward_unit(model_.head_backward);
    }
    for (std::int64_t layer = chunk(index).layers - 1; layer >= 0; --layer) {
      const PricedLayer& priced = model_.layers.at(layer_kind(scenario_.model, chunk(index).first_layer + layer));
      const bool is_recomputed = recompute_plan(scenario_.training, layer).granularity != Recompute::kNone;
      backward_unit(is_recomputed ? priced.recomputed_backward : priced.backward);
    }
    if (has_embedding) {
      backward_unit(model_.embedding_backward);
    }
  }

  void pass(const PricedPass& steps) {
    std::vector<OperationId> beside;  // collectives that run beside kernels, oldest first
    for (const PricedStep& step : steps) {
      if (const auto* priced = std::get_if<PricedRun>(&step)) {
        builder_.kernels(Category::kCompute, priced->name, priced->run);
      } else if (const auto* collective = std::get_if<GroupCollective>(&step)) {
        const GroupUse use = use_of(collective->group);
        const CommunicationId id = communication_of(*collective);
        const std::string name =
            fmt::format("{} {}", kCategoryNames.name_of(use.category), kCollectiveOpNames.name_of(collective->op));
        const Seconds host = scenario_.framework.host.collective;
        if (collective->overlapped_operators > 0) {
          beside.push_back(builder_.communicate_async(use.category, use.stream, name, host, id));
        } else {
          builder_.communicate(use.category, use.stream, name, host, {&id, 1});
        }
      } else if (std::holds_alternative<HostSync>(step)) {
        builder_.host_wait("read token counts");
      } else {
        builder_.join(beside.front());
        beside.erase(beside.begin());
      }
    }
  }

  CommunicationId communication_of(const GroupCollective& collective) {
    const GroupKind kind = use_of(collective.group).kind;
    return collective.op == CollectiveOp::kSendRecv ? communicators_.ring_step(kind, collective.size)
                                                    : communicators_.collective(kind, collective.op, collective.size);
  }

  // Stages s and pp - 1 - s of a bidirectional pipeline hold the same two chunks.
  void reduce_replicas() {
    if (scenario_.placement() != Placement::kBidirectional) {
      return;
    }
    const auto mirror = static_cast<std::int32_t>(scenario_.layout.pp) - 1 - stage_;
    const auto parameters = static_cast<double>(layout_.stage_parameters[static_cast<std::size_t>(stage_)]);
    const CommunicationId id =
        communicators_.stage_collective(GroupKind::kMirror, std::min(stage_, mirror), CollectiveOp::kAllReduce,
                                        bytes_per_element(scenario_.training.grad_dtype) * parameters);
    builder_.communicate(Category::kPipeline, StreamName::kPipeline, "reduce gradients of both replicas",
                         scenario_.framework.host.collective, {&id, 1});
  }

  void reduce_tied_embedding() {
    // A V ends on the stage where it begins, and the two ends of a bidirectional pipeline are mirrors.
    const bool is_end =
        (stage_ == 0 || stage_ == scenario_.layout.pp - 1) && scenario_.placement() == Placement::kLooped;
    if (scenario_.layout.pp > 1 && is_end && scenario_.model.tied_embeddings == Presence::kPresent) {
      const CommunicationId id = communicators_.collective(
          GroupKind::kEmbedding, CollectiveOp::kAllReduce,
          bytes_per_element(scenario_.training.grad_dtype) * static_cast<double>(tied_embedding_parameters(scenario_)));
      builder_.communicate(Category::kPipeline, StreamName::kPipeline, "reduce embedding gradients",
                           scenario_.framework.host.collective, {&id, 1});
    }
  }

  void optimize() {
    const UpdateShare share = data_->update_share();
    const Seconds host = scenario_.framework.host.collective;
    builder_.kernels(Category::kOptimizer, "unscale and norm", optimizer_before_norm(scenario_, share.shard, costs_));
    if (share.norm_over) {
      const CommunicationId norm = communicators_.collective(*share.norm_over, CollectiveOp::kAllReduce, 4_B);
      builder_.communicate(Category::kOptimizer, StreamName::kData, "reduce gradient norm", host, {&norm, 1});
    }
    if (scenario_.layout.tp * scenario_.layout.pp > 1) {
      // The norm (and whether a gradient overflowed) is known only when every stage has contributed.
      const CommunicationId norm = communicators_.collective(GroupKind::kModel, CollectiveOp::kAllReduce, 4_B);
      builder_.communicate(Category::kOptimizer, StreamName::kTensor, "reduce gradient norm", host, {&norm, 1});
    }
    builder_.host_wait("read gradient norm");
    builder_.kernels(Category::kOptimizer, "optimizer update", optimizer_update(scenario_, share.shard, costs_));
    data_->after_update();
  }

  const Scenario& scenario_;
  const Layout& layout_;
  const PricedModel& model_;
  const KernelCosts& costs_;
  std::int32_t stage_;
  Communicators& communicators_;
  RankBuilder builder_;
  PipelineMessages messages_;
  std::unique_ptr<DataParallel> data_;
  // By chunk: passes that still have to give gradients of inputs and of weights.
  std::vector<std::int32_t> inputs_left_;
  std::vector<std::int32_t> weights_left_;
};

}  // namespace

RankProgram build_stage_program(const Scenario& scenario, const Layout& layout, const PricedModel& model,
                                const KernelCosts& costs, std::int32_t stage, const StageActionList& actions,
                                Communicators& communicators, NameIndex& names) {
  return StageProgram(scenario, layout, model, costs, stage, communicators, names).build(actions);
}

}  // namespace trainyard
