#include "sim/memory/model_states.hpp"

#include <algorithm>
#include <functional>
#include <vector>

namespace trainyard {
namespace {

// What every strategy's formula is made of.
struct States {
  const Training& training;
  const std::vector<ParameterUnit>& units;
  Bytes moments{};          // of one parameter
  double parameters = 0.0;  // of one rank before data-parallel sharding
  double trainable = 0.0;   // of those, with gradients
  double sharded = 0.0;     // of the parameters, what one rank keeps when those that hold the same ones share them out
  double sharded_trainable = 0.0;
  double ranks = 1.0;  // that share out what is not experts'
  std::int64_t micro_batches = 1;

  // In tensors that ZeRO stage 3 keeps whole; none with other strategies.
  double persistent() const {
    double sum = 0.0;
    for (const ParameterUnit& unit : units) {
      sum += static_cast<double>(unit.persistent);
    }
    return sum;
  }
  const DataParallelOptions& options() const { return training.data_parallel; }
  Bytes parameter() const { return bytes_per_element(training.param_dtype); }
  // A weight and its operand copies, which are kept over the step when GEMMs run narrower than the weight is stored.
  Bytes whole_weight() const {
    const Bytes operand = bytes_per_element(training.precision);
    const auto copies = static_cast<double>(training.weight_copies);
    if (parameter() < storage_bytes_per_element(training.precision)) {
      return operand * std::max(1.0, copies);  // stored as operands alone
    }
    return parameter() + (operand < parameter() ? operand * copies : Bytes{});
  }
  Bytes gradient() const { return bytes_per_element(training.grad_dtype); }
  // None where the parameters themselves are as wide.
  Bytes master() const {
    const Bytes element = bytes_per_element(training.master_dtype);
    return parameter() < element ? element : Bytes{};
  }
  // Gradient buffers that are narrower than what is updated are copied before the update.
  Bytes gradient_copy() const {
    const Bytes read = updating_gradient_element(training);
    return gradient() < read ? read : Bytes{};
  }

  double outer_parameters() const {
    double sum = 0.0;
    for (const ParameterUnit& unit : units) {
      sum += unit.kind == UnitKind::kLayer ? 0.0 : static_cast<double>(unit.share.total());
    }
    return sum;
  }
  // The sum of the `count` largest units, of layers alone or of all kinds.
  double largest(std::size_t count, bool layers_only) const {
    std::vector<double> sizes;
    for (const ParameterUnit& unit : units) {
      if (!layers_only || unit.kind == UnitKind::kLayer) {
        sizes.push_back(static_cast<double>(unit.share.total()));
      }
    }
    std::sort(sizes.begin(), sizes.end(), std::greater<>());
    double sum = 0.0;
    for (std::size_t i = 0; i < std::min(count, sizes.size()); ++i) {
      sum += sizes[i];
    }
    return sum;
  }
};

ModelStates ddp(const States& s) {
  return {.parameters = s.whole_weight() * s.parameters,
          .gradients = s.gradient() * s.trainable,
          .optimizer = (s.moments + s.master() + s.gradient_copy()) * s.trainable,
          // Buckets are copies of all gradients unless gradient_as_bucket_view is set.
          .gradient_buckets = s.ranks > 1.0 ? s.gradient() * s.trainable : Bytes{}};
}

ModelStates megatron(const States& s) {
  const double updated = s.training.zero_stage >= 1 ? s.sharded_trainable : s.trainable;
  return {.parameters = s.whole_weight() * s.parameters,
          .gradients = s.gradient() * s.trainable,
          .optimizer = (s.moments + s.master() + s.gradient_copy()) * updated};
}

// What the step of ZeRO's optimizer holds of the gradients of `updated` parameters at once: the averaged gradients,
// their flat copy, and its copy in fp32 that the optimizer reads. Source: deepspeed/runtime/zero/stage_1_and_2.py,
// step; stage3.py, _prepare_fp32_grad_for_sub_group.
Bytes copied_gradients(const States& s, double updated) {
  return (s.gradient() + s.gradient_copy()) * updated;
}

ModelStates deepspeed(const States& s) {
  const int stage = s.training.zero_stage;
  const auto trainable = [&](int sharded_from) { return stage >= sharded_from ? s.sharded_trainable : s.trainable; };
  // One bucket fills while another is reduced.
  const double buckets = s.options().overlap_comm == CommunicationOverlap::kOn ? 2.0 : 1.0;
  const double persistent = s.persistent();
  ModelStates states{
      .parameters = s.parameter() * (stage == 3 ? s.sharded + persistent * (1.0 - 1.0 / s.ranks) : s.parameters),
      .gradients = s.gradient() * trainable(2),
      .optimizer = (s.moments + s.master()) * trainable(1),
      .gradient_buckets =
          s.ranks > 1.0 ? s.gradient() * (buckets * std::min(s.trainable, s.options().reduce_bucket_size)) : Bytes{},
      .update_gradients = s.gradient() * trainable(1) + copied_gradients(s, trainable(1))};
  // The partition of a micro-batch's gradients stands beside the sum of those before. Source: stage_1_and_2.py,
  // independent_gradient_partition_epilogue (get_flat_partition, then added to averaged_gradients).
  if (stage == 2 && s.micro_batches > 1) {
    states.gradients *= 2.0;
  }
  if (stage == 3) {
    states.update_gradients =
        states.gradients + copied_gradients(s, std::min(s.sharded_trainable, s.options().sub_group_size));
    // A unit stays when it is used again within the reuse distance: near the turn from forward to backward, half of it
    // lies before the turn. Prefetching stops at max_live_parameters.
    const double ahead = std::min(s.options().max_live_parameters,
                                  s.options().max_reuse_distance / 2.0 + s.options().prefetch_bucket_size);
    states.gathered_weights = s.parameter() * std::min(s.parameters - persistent, s.largest(1, false) + ahead);
  }
  return states;
}

// Shards are parameter and master copy in one, and their gradients have their format.
ModelStates fsdp(const States& s) {
  const Bytes shard = updated_element(s.training);
  const DataParallelOptions& options = s.options();
  const bool has_root = options.outer_units == OuterUnits::kRoot;
  const double root = has_root ? s.outer_parameters() : 0.0;
  const double ahead = s.largest(static_cast<std::size_t>(options.gathers_in_flight), has_root);
  const double gathered =
      options.reshard == Reshard::kAfterForward ? std::min(s.parameters, root + ahead) : s.parameters;
  const bool accumulates_whole = options.gradient_sync == GradientSync::kLastMicroBatch;
  // The gradient of the unit being computed (the root's grows from head to embedding), and the buffer of the one being
  // reduced where that is a copy.
  const bool copies = s.gradient() != s.parameter() || options.flat_buffer == FlatBuffer::kNone;
  const double largest = s.largest(1, has_root);
  const double whole = accumulates_whole ? s.parameters : std::min(s.parameters, root + largest);
  return {.parameters = shard * s.sharded,
          .gradients = shard * s.sharded_trainable,
          .optimizer = s.moments * s.sharded_trainable,
          .gathered_weights = s.parameter() * gathered,
          .gradient_buckets = s.parameter() * whole + (copies ? s.gradient() * largest : Bytes{})};
}

// What the host holds of them. It updates in fp32 from a copy of the gradients; the device keeps its own where the
// strategy reduces into a buffer that stays (Megatron), not where shards move on to the host (DeepSpeed from stage 2
// on, FSDP).
ModelStates offloaded(ModelStates states, const States& s) {
  const OffloadOptions& offload = s.training.offload;
  const bool is_sharded = s.training.zero_stage >= 1;
  const bool moves_gradients = s.training.does(&DataParallelTraits::shards_gradients);
  states.on_host[MemoryUse::kParameters] = states.parameters * offload.weights;
  states.on_host[MemoryUse::kGradients] =
      bytes_per_element(Precision::kFp32) * ((is_sharded ? s.sharded_trainable : s.trainable) * offload.optimizer);
  states.on_host[MemoryUse::kOptimizer] = states.optimizer * offload.optimizer;
  states.parameters *= 1.0 - offload.weights;
  states.gradients *= moves_gradients ? 1.0 - offload.optimizer : 1.0;
  states.optimizer *= 1.0 - offload.optimizer;
  if (states.update_gradients) {
    *states.update_gradients *= 1.0 - offload.optimizer;
  }
  return states;
}

ModelStates on_device(const Scenario& scenario, const States& states) {
  switch (scenario.training.data_parallel.strategy) {
    case DataParallelName::kDdp:
      return ddp(states);
    case DataParallelName::kMegatron:
      return megatron(states);
    case DataParallelName::kDeepspeed:
      return deepspeed(states);
    case DataParallelName::kFsdp:
    case DataParallelName::kHsdp:
      break;
  }
  return fsdp(states);
}

}  // namespace

Bytes updated_element(const Training& training) {
  return max(bytes_per_element(training.param_dtype), bytes_per_element(training.master_dtype));
}

Bytes updating_gradient_element(const Training& training) {
  return max(bytes_per_element(training.grad_dtype), updated_element(training));
}

Bytes moment_bytes(const Scenario& scenario, Optimizer optimizer) {
  const OptimizerTraits& traits = optimizer_traits(optimizer);
  const double factored = traits.factored_moments * 2.0 / static_cast<double>(scenario.model.hidden);
  return bytes_per_element(scenario.training.optimizer_dtype) * (traits.moments + factored) + Bytes{traits.bytes};
}

namespace {

// Parameters that a rank updates, of those that it holds apart from experts' and of experts'.
double updated_of(const Scenario& scenario, double shared, double experts) {
  const bool is_sharded = scenario.training.zero_stage >= 1;
  return is_sharded ? shared / static_cast<double>(scenario.layout.hsdp_shard) +
                          experts / static_cast<double>(scenario.layout.expert_shard())
                    : shared + experts;
}

double updated_parameters(const Scenario& scenario, const Layout& layout, std::size_t stage) {
  const ParameterShare& share = layout.stage_shares[stage];
  return updated_of(scenario, static_cast<double>(share.trainable_shared),
                    static_cast<double>(share.trainable_experts));
}

// Bytes of the preconditioners that a rank keeps.
Bytes preconditioner_bytes(const Scenario& scenario, const Layout& layout, std::size_t stage) {
  double values = 0.0;
  for (const WeightMatrix& one : layout.matrices[stage]) {
    const std::int64_t ranks =
        one.of_experts == Presence::kPresent ? scenario.layout.expert_shard() : scenario.layout.hsdp_shard;
    values +=
        preconditioner_values(one.rows, one.columns) * static_cast<double>(one.count) / static_cast<double>(ranks);
  }
  return bytes_per_element(Precision::kFp32) * values;
}

}  // namespace

double matrix_share(const Scenario& scenario, const Layout& layout, std::size_t stage) {
  const double updated = updated_parameters(scenario, layout, stage);
  const double in_matrices = updated_of(scenario, layout.matrix_elements(stage, Presence::kAbsent),
                                        layout.matrix_elements(stage, Presence::kPresent));
  return updated > 0.0 ? in_matrices / updated : 0.0;
}

Bytes optimizer_state_bytes(const Scenario& scenario, const Layout& layout, std::size_t stage) {
  const OptimizerTraits& traits = optimizer_traits(scenario.training.optimizer);
  const Bytes of_matrices = moment_bytes(scenario, scenario.training.optimizer);
  const double updated = updated_parameters(scenario, layout, stage);
  if (traits.matrices == MatrixUpdate::kNone || updated == 0.0) {
    return of_matrices;
  }
  const double share = matrix_share(scenario, layout, stage);
  const Bytes moments = of_matrices * share + moment_bytes(scenario, traits.elsewhere) * (1.0 - share);
  return traits.matrices == MatrixUpdate::kPreconditioned
             ? moments + preconditioner_bytes(scenario, layout, stage) / updated
             : moments;
}

ModelStates model_states(const Scenario& scenario, const Layout& layout, std::size_t stage) {
  const ParameterShare& share = layout.stage_shares[stage];
  const auto copies = static_cast<double>(scenario.layout.hsdp_shard);
  const auto expert_copies = static_cast<double>(scenario.layout.expert_shard());
  const States states{
      .training = scenario.training,
      .units = layout.units[stage],
      .moments = optimizer_state_bytes(scenario, layout, stage),
      .parameters = static_cast<double>(share.total()),
      .trainable = static_cast<double>(share.trainable()),
      .sharded = static_cast<double>(share.shared) / copies + static_cast<double>(share.experts) / expert_copies,
      .sharded_trainable = static_cast<double>(share.trainable_shared) / copies +
                           static_cast<double>(share.trainable_experts) / expert_copies,
      .ranks = copies,
      .micro_batches = scenario.micro_batches()};
  return offloaded(on_device(scenario, states), states);
}

}  // namespace trainyard
