#pragma once
// Data-parallel strategies: what they add to the passes of a stage. One file per strategy, one row in strategy.cpp.
//
// A strategy is asked at every unit of the stage (embedding, layer, head: Layout::units) before and after its forward
// and its backward pass, after the last backward pass of the step, and after the optimizer's update. It launches
// collectives beside the data flow and joins them where the flow needs them. Source of the bytes: ZeRO (arXiv
// 1910.02054, section 7) and the files of the frameworks that each strategy names.
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/kernel_costs.hpp"
#include "sim/layout/layout.hpp"
#include "sim/program/communicators.hpp"
#include "sim/program/optimizer_step.hpp"
#include "sim/program/rank_builder.hpp"
#include "sim/program/state_offload.hpp"

namespace trainyard {

// Elements of one rank, apart by the ranks that hold the same ones.
struct Elements {
  double shared = 0.0;   // held by the data-parallel (and context-parallel) ranks
  double experts = 0.0;  // held by the expert-data-parallel ranks

  double total() const { return shared + experts; }
  Elements& operator+=(const Elements& other) {
    shared += other.shared;
    experts += other.experts;
    return *this;
  }
};

enum class MicroBatch { kEarlier, kLast };

// A pass through one unit. Small: with the object that it is handed to it fits into a std::function without an
// allocation, and there are several for each layer and micro-batch.
struct UnitPass {
  std::uint32_t unit = 0;                         // index into Layout::units of the stage
  MicroBatch micro_batch = MicroBatch::kEarlier;  // kLast: the chunk's last one of the step
};

// What the optimizer of one rank works on.
struct UpdateShare {
  OptimizerShard shard;
  double gradient_buffer = 0.0;            // parameters whose gradients are set to zero before the step
  std::optional<ParallelGroup> norm_over;  // the norm of the gradients is summed over these ranks too
};

class DataParallel {
 public:
  virtual ~DataParallel() = default;
  virtual void before_forward(const UnitPass&) {}
  virtual void after_forward(const UnitPass&) {}
  virtual void before_backward(const UnitPass&) {}
  virtual void after_backward(const UnitPass&) {}  // the unit's gradients are computed
  virtual void after_last_backward() {}            // reduces what is left; what follows waits for all reductions
  virtual void after_update() {}
  virtual UpdateShare update_share() const = 0;
};

// Where a strategy works: one stage of a scenario. Everything it refers to outlives it.
struct StrategySite {
  const Scenario& scenario;
  const Layout& layout;
  const KernelCosts& costs;
  std::int32_t stage;
  Communicators& communicators;
  RankBuilder& builder;
  StateOffload& offload;

  const DataParallelOptions& options() const { return scenario.training.data_parallel; }
  const std::vector<ParameterUnit>& units() const { return layout.units[static_cast<std::size_t>(stage)]; }
  Elements stored(std::size_t unit) const;     // parameters, trained or frozen
  Elements trainable(std::size_t unit) const;  // parameters that have gradients
  Elements stored() const;                     // of the whole stage
  Elements trainable() const;
  double ranks() const { return static_cast<double>(scenario.layout.data_ranks()); }
  // Of the trainable elements what one rank keeps when all ranks that hold them share them out.
  double sharded() const;
  // Of what one rank updates, the share in matrices of which the optimizer does more (MatrixUpdate).
  double matrix_share() const;
  Bytes gradient_element() const { return bytes_per_element(scenario.training.grad_dtype); }
  Bytes parameter_element() const { return bytes_per_element(scenario.training.param_dtype); }
  // What one rank keeps of `elements` that are shared out.
  double shard_of(const Elements& elements) const;
  // Collectives of this stage's groups beside the data flow, after `after`: one over `group` (kData, kShard or
  // kReplica) for the shared elements and one over its like for the experts, where there are any and the group has
  // several ranks.
  std::vector<OperationId> launch(ParallelGroup group, CollectiveOp op, Bytes element, const Elements& elements,
                                  StreamName stream, const std::string& name, std::span<const OperationId> after) const;
  // An all-gather of parameters among those that share them out, after each has fetched its shard where the host holds
  // that.
  std::vector<OperationId> gather(ParallelGroup group, const Elements& elements, StreamName stream,
                                  std::span<const OperationId> after) const;
  // The rank's shard of reduced gradients goes to the host where that updates; it is reduced when `after` is over.
  void send_gradients(const Elements& elements, const std::vector<OperationId>& after) const;
  void join(const std::vector<OperationId>& operations) const;
  // One memory-bound kernel in the data flow that moves `traffic`; nothing when that is zero.
  void kernel(const std::string& name, Bytes traffic) const;
};

// The strategy of the scenario; with one data-parallel rank it communicates with nobody.
std::unique_ptr<DataParallel> make_data_parallel(const StrategySite& site);

std::unique_ptr<DataParallel> make_ddp(const StrategySite& site);
std::unique_ptr<DataParallel> make_megatron(const StrategySite& site);
std::unique_ptr<DataParallel> make_zero(const StrategySite& site);        // DeepSpeed, stages 0 to 2
std::unique_ptr<DataParallel> make_zero_three(const StrategySite& site);  // DeepSpeed, stage 3
std::unique_ptr<DataParallel> make_fsdp(const StrategySite& site);        // full and hybrid sharding

// What the optimizer does with whole matrices before their update is applied; nothing with most optimizers.
void update_matrices(const StrategySite& site);

// One gradient for every parameter, in the scenario's formats: what strategies without shards update.
UpdateShare unsharded_update(const StrategySite& site);
// Shards that are parameter and master copy in one, as FSDP keeps them.
UpdateShare master_shards_update(const StrategySite& site);

}  // namespace trainyard
