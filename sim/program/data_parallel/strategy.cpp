#include "sim/program/data_parallel/strategy.hpp"

#include <algorithm>
#include <array>

#include "sim/base/error.hpp"
#include "sim/memory/model_states.hpp"

namespace trainyard {
namespace {

std::unique_ptr<DataParallel> make_deepspeed(const StrategySite& site) {
  return site.scenario.training.zero_stage == 3 ? make_zero_three(site) : make_zero(site);
}

struct Row {
  DataParallelName name;
  std::unique_ptr<DataParallel> (*make)(const StrategySite&);
};

// Hybrid sharding is FSDP whose shard groups are smaller than the data-parallel group.
constexpr std::array<Row, kDataParallelNames.rows.size()> kStrategies = {
    {{DataParallelName::kDdp, make_ddp},
     {DataParallelName::kMegatron, make_megatron},
     {DataParallelName::kDeepspeed, make_deepspeed},
     {DataParallelName::kFsdp, make_fsdp},
     {DataParallelName::kHsdp, make_fsdp}}};
static_assert(kStrategies.back().name == kDataParallelNames.rows.back().second);

// A single replica: there is nobody to communicate with.
class Alone final : public DataParallel {
 public:
  explicit Alone(const UpdateShare& share) : share_(share) {}
  UpdateShare update_share() const override { return share_; }

 private:
  UpdateShare share_;
};

}  // namespace

Elements StrategySite::stored(std::size_t unit) const {
  const ParameterShare& share = units()[unit].share;
  return {static_cast<double>(share.shared), static_cast<double>(share.experts)};
}
Elements StrategySite::trainable(std::size_t unit) const {
  const ParameterShare& share = units()[unit].share;
  return {static_cast<double>(share.trainable_shared), static_cast<double>(share.trainable_experts)};
}
Elements StrategySite::stored() const {
  Elements sum;
  for (std::size_t unit = 0; unit < units().size(); ++unit) {
    sum += stored(unit);
  }
  return sum;
}
Elements StrategySite::trainable() const {
  Elements sum;
  for (std::size_t unit = 0; unit < units().size(); ++unit) {
    sum += trainable(unit);
  }
  return sum;
}

double StrategySite::shard_of(const Elements& elements) const {
  const Parallelism& degrees = scenario.layout;
  return elements.shared / static_cast<double>(degrees.hsdp_shard) +
         elements.experts / static_cast<double>(degrees.expert_shard());
}
double StrategySite::sharded() const {
  return shard_of(trainable());
}

double StrategySite::matrix_share() const {
  return trainyard::matrix_share(scenario, layout, static_cast<std::size_t>(stage));
}

std::vector<OperationId> StrategySite::launch(ParallelGroup group, CollectiveOp op, Bytes element,
                                              const Elements& elements, StreamName stream, const std::string& name,
                                              std::span<const OperationId> after) const {
  std::vector<OperationId> launched;
  const auto add = [&](ParallelGroup among, double count) {
    if (count > 0.0 && members_of(scenario.layout, among) > 1) {
      const CommunicationId id = communicators.stage_collective(among, stage, op, element * count);
      launched.push_back(builder.launch(Category::kData, stream, name, communicators.issue_time(id), id, after));
    }
  };
  add(group, elements.shared);
  add(of_experts(group), elements.experts);
  return launched;
}

std::vector<OperationId> StrategySite::gather(ParallelGroup group, const Elements& elements, StreamName stream,
                                              std::span<const OperationId> after) const {
  const auto launch_after = [&](std::span<const OperationId> before) {
    return launch(group, CollectiveOp::kAllGather, parameter_element(), elements, stream, "gather parameters", before);
  };
  if (!offload.holds_weights()) {
    return launch_after(after);
  }
  // FSDP's shards are the masters, cast on the device.
  const Bytes element = scenario.training.has_flat_shards() ? updated_element(scenario.training) : parameter_element();
  const OperationId shard = offload.fetch(element * shard_of(elements), after);
  std::vector<OperationId> gathered = launch_after({&shard, 1});
  return gathered.empty() ? std::vector{shard} : gathered;
}

void StrategySite::send_gradients(const Elements& elements, const std::vector<OperationId>& after) const {
  const Bytes element = scenario.training.has_flat_shards() ? updated_element(scenario.training) : gradient_element();
  offload.send_gradients(element * shard_of(elements), after.empty() ? builder.frontier() : after);
}

void StrategySite::join(const std::vector<OperationId>& operations) const {
  for (const OperationId operation : operations) {
    builder.join(operation);
  }
}

void StrategySite::kernel(const std::string& name, Bytes traffic) const {
  if (traffic > Bytes{}) {
    KernelRun run;
    run.append(scenario.framework.host.forward_operator,
               costs.memory_bound({.traffic = traffic}) / scenario.framework.kernel_rate);
    builder.kernels(Category::kCompute, name, run);
  }
}

UpdateShare unsharded_update(const StrategySite& site) {
  const double trainable = site.trainable().total();
  return {.shard = {.parameters = trainable,
                    .in_matrices = site.matrix_share(),
                    .gradient = site.gradient_element(),
                    .model_copy = site.parameter_element()},
          .gradient_buffer = trainable};
}

UpdateShare master_shards_update(const StrategySite& site) {
  const Bytes element = updated_element(site.scenario.training);
  return {.shard = {.parameters = site.sharded(),
                    .in_matrices = site.matrix_share(),
                    .gradient = element,
                    .model_copy = element}};
}

std::unique_ptr<DataParallel> make_data_parallel(const StrategySite& site) {
  const DataParallelName name = site.options().strategy;
  if (site.scenario.layout.data_ranks() == 1 && !site.offload.holds_weights()) {
    return std::make_unique<Alone>(site.scenario.training.has_flat_shards() ? master_shards_update(site)
                                                                            : unsharded_update(site));
  }
  const auto* row =
      std::find_if(kStrategies.begin(), kStrategies.end(), [name](const Row& r) { return r.name == name; });
  TY_ASSERT(row != kStrategies.end());
  return row->make(site);
}

}  // namespace trainyard
