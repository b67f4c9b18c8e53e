#include "sim/program/assembly/stage_program.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/layout/stage_schedule.hpp"
#include "sim/memory/recompute.hpp"
#include "sim/program/activation_offload.hpp"
#include "sim/program/data_parallel/strategy.hpp"
#include "sim/program/gradient_sums.hpp"
#include "sim/program/input_pipeline.hpp"
#include "sim/program/optimizer_step.hpp"
#include "sim/program/pass_flow.hpp"
#include "sim/program/pipeline_messages.hpp"

namespace trainyard {
namespace {

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
        runner_(communicators, builder_),
        input_({scenario, stage, communicators, builder_}, layout),
        activations_({scenario, stage, communicators, builder_}, layout),
        states_({scenario, stage, communicators, builder_}, layout.units[static_cast<std::size_t>(stage)].size()),
        site_{scenario, layout, costs, stage, communicators, builder_, states_},
        data_(make_data_parallel(site_)) {}

  RankProgram build(const StageActionList& actions) {
    const ScheduleShape shape = schedule_shape(scenario_);
    // Each direction of a bidirectional pipeline takes half the micro-batches.
    const std::int32_t passes =
        shape.placement == Placement::kBidirectional ? shape.micro_batches / 2 : shape.micro_batches;
    inputs_left_.assign(static_cast<std::size_t>(shape.chunks), passes);
    weights_left_ = inputs_left_;
    input_.begin_step();
    builder_.host_work("step", scenario_.framework.host.step);
    const double buffer = data_->update_share().gradient_buffer;
    if (buffer > 0.0) {
      builder_.kernels(Category::kOptimizer, "zero gradients", zero_gradients(scenario_, buffer, costs_));
    }
    for (std::size_t i = 0; i < actions.size();) {
      switch (actions[i].kind) {
        case ActionKind::kPass:
          i += run(actions, i);
          break;
        case ActionKind::kExchange:
          messages_.exchange(actions[i++]);
          break;
        case ActionKind::kPost:
          messages_.post(actions[i++].messages.front());
          break;
      }
    }
    builder_.set_label({});
    data_->after_last_backward();
    sum_gradients({scenario_, layout_, costs_, stage_, communicators_, builder_});
    optimize();
    builder_.host_wait("end of step");
    return builder_.take();
  }

 private:
  const Chunk& chunk(std::int32_t index) const {
    return layout_.stages[static_cast<std::size_t>(stage_)].chunks[static_cast<std::size_t>(index)];
  }
  // Index of a chunk's first unit in the layout's list of the stage.
  std::uint32_t first_unit(std::int32_t index) const {
    const std::vector<ParameterUnit>& units = layout_.units[static_cast<std::size_t>(stage_)];
    std::uint32_t first = 0;
    while (first < units.size() && units[first].chunk != index) {
      ++first;
    }
    return first;
  }

  // Runs the pass of an action, or the two that it joins beside each other; returns how many actions that were.
  std::size_t run(const StageActionList& actions, std::size_t i) {
    const StagePass& pass = actions[i].pass;
    messages_.await_input(pass);
    PassFlow flow = flow_of(pass);
    if (pass.joined != Joined::kWithNext) {
      runner_.run(flow);
      return 1;
    }
    const StagePass& next = actions[i + 1].pass;
    messages_.await_input(next);
    if (scenario_.layout.ep_overlap == ExpertOverlap::kOff) {
      runner_.run(flow);
      return 1;
    }
    PassFlow backward = flow_of(next);
    runner_.run_beside(flow, backward);
    return 2;
  }

  bool offloads_activations() const { return scenario_.training.offload.activations > 0.0; }

  PassFlow flow_of(const StagePass& pass) {
    std::int32_t& inputs_left = inputs_left_[static_cast<std::size_t>(pass.chunk)];
    std::int32_t& weights_left = weights_left_[static_cast<std::size_t>(pass.chunk)];
    switch (pass.kind) {
      case PassKind::kForward:
        return forward(pass);
      case PassKind::kBackward:
        --inputs_left;
        return backward(pass, &PricedBackward::whole, --weights_left);
      case PassKind::kInputGradient:
        return backward(pass, &PricedBackward::inputs, --inputs_left);
      case PassKind::kWeightGradient:
        break;
    }
    return backward(pass, &PricedBackward::weights, --weights_left);
  }

  static PassFlow empty_flow(const StagePass& pass) {
    return PassFlow(
        {.micro_batch = pass.micro_batch, .chunk = static_cast<std::int16_t>(pass.chunk), .pass = pass.kind});
  }

  PassFlow forward(const StagePass& pass) {
    const std::int32_t index = pass.chunk;
    const ActivationOffload::Pass whole{pass.chunk, pass.micro_batch};
    PassFlow flow = empty_flow(pass);
    if (scenario_.input) {
      flow.add([this, whole] { input_.before_forward(whole.chunk, whole.micro_batch); });
    }
    flow.add([this] { builder_.host_work("forward pass", scenario_.framework.host.micro_batch); });
    UnitPass unit{.unit = first_unit(index)};
    const auto add_unit = [&](const PricedPass& steps) {
      flow.add([this, unit] { data_->before_forward(unit); });
      flow.add(steps);
      flow.add([this, unit] { data_->after_forward(unit); });
      ++unit.unit;
    };
    if (chunk(index).embedding == Holds::kYes) {
      add_unit(model_.embedding_forward);
    }
    for (std::int64_t layer = 0; layer < chunk(index).layers; ++layer) {
      if (offloads_activations()) {
        flow.add([this, whole, layer] { activations_.before_forward(whole, layer); });
      }
      add_unit(model_.layers.at(layer_kind(scenario_.model, chunk(index).first_layer + layer)).forward);
      if (offloads_activations()) {
        flow.add([this, whole, layer] { activations_.after_forward(whole, layer); });
      }
    }
    if (chunk(index).head == Holds::kYes) {
      add_unit(model_.head_forward);
    }
    return flow;
  }

  // A whole backward pass, or one of its two halves, before `left` more of the same chunk. A unit's backward pass
  // begins with its inputs' gradients and ends with its weights'.
  PassFlow backward(const StagePass& pass, PricedPass PricedBackward::*part, std::int32_t left) {
    const std::int32_t index = pass.chunk;
    const ActivationOffload::Pass whole{pass.chunk, pass.micro_batch};
    const bool has_inputs = part != &PricedBackward::weights;
    const bool has_weights = part != &PricedBackward::inputs;
    PassFlow flow = empty_flow(pass);
    if (has_inputs) {  // weight gradients wait in a queue: no autograd, no schedule to walk
      flow.add([this] { builder_.host_work("backward pass", scenario_.framework.host.micro_batch); });
      if (offloads_activations()) {
        flow.add([this, whole] { activations_.begin_backward(whole); });
      }
    }
    const bool is_last = left == 0;
    const bool has_embedding = chunk(index).embedding == Holds::kYes;
    const bool has_head = chunk(index).head == Holds::kYes;
    const auto units =
        static_cast<std::uint32_t>(chunk(index).layers) + (has_embedding ? 1U : 0U) + (has_head ? 1U : 0U);
    UnitPass unit{.unit = first_unit(index) + units, .micro_batch = is_last ? MicroBatch::kLast : MicroBatch::kEarlier};
    const auto add_unit = [&](const PricedBackward& steps) {
      --unit.unit;
      if (has_inputs) {
        flow.add([this, unit] { data_->before_backward(unit); });
      }
      flow.add(steps.*part);
      if (has_weights) {
        flow.add([this, unit] { data_->after_backward(unit); });
      }
    };
    if (has_head) {
      add_unit(model_.head_backward);
    }
    for (std::int64_t layer = chunk(index).layers - 1; layer >= 0; --layer) {
      const PricedLayer& priced = model_.layers.at(layer_kind(scenario_.model, chunk(index).first_layer + layer));
      if (has_inputs && offloads_activations()) {
        flow.add([this, whole, layer] { activations_.before_backward(whole, layer); });
      }
      const bool is_recomputed = recompute_plan(scenario_.training, layer).granularity != Recompute::kNone;
      add_unit(is_recomputed ? priced.recomputed_backward : priced.backward);
    }
    if (has_embedding) {
      add_unit(model_.embedding_backward);
    }
    return flow;
  }

  void optimize() {
    const UpdateShare share = data_->update_share();
    builder_.kernels(Category::kOptimizer, "unscale and norm", optimizer_before_norm(scenario_, share.shard, costs_));
    if (share.norm_over) {
      const CommunicationId norm = communicators_.collective(*share.norm_over, CollectiveOp::kAllReduce, 4_B);
      builder_.communicate(Category::kOptimizer, StreamName::kData, "reduce gradient norm",
                           communicators_.issue_time(norm), {&norm, 1});
    }
    if (scenario_.layout.tp * scenario_.layout.pp > 1) {
      // The norm (and whether a gradient overflowed) is known only when every stage has contributed.
      const CommunicationId norm = communicators_.collective(ParallelGroup::kModel, CollectiveOp::kAllReduce, 4_B);
      builder_.communicate(Category::kOptimizer, StreamName::kTensor, "reduce gradient norm",
                           communicators_.issue_time(norm), {&norm, 1});
    }
    builder_.host_wait("read gradient norm");
    OptimizerShard on_device = share.shard;
    on_device.parameters *= 1.0 - scenario_.training.offload.optimizer;
    update_matrices(site_);
    if (on_device.parameters > 0.0) {
      builder_.kernels(Category::kOptimizer, "optimizer update", optimizer_update(scenario_, on_device, costs_));
    }
    states_.update(share.shard);
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
  PassRunner runner_;
  InputPipeline input_;
  ActivationOffload activations_;
  StateOffload states_;
  StrategySite site_;
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
