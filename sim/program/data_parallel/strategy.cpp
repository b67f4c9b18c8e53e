#include "sim/program/data_parallel/strategy.hpp"

#include <algorithm>
#include <array>

#include "sim/base/error.hpp"

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
constexpr std::array<Row, 5> kStrategies = {{{DataParallelName::kDdp, make_ddp},
                                             {DataParallelName::kMegatron, make_megatron},
                                             {DataParallelName::kDeepspeed, make_deepspeed},
                                             {DataParallelName::kFsdp, make_fsdp},
                                             {DataParallelName::kHsdp, make_fsdp}}};

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

double StrategySite::sharded() const {
  const Elements all = trainable();
  const double copies = is_fsdp(options().strategy) ? static_cast<double>(scenario.layout.hsdp_shard) : ranks();
  return all.shared / copies + all.experts / static_cast<double>(scenario.layout.expert_dp());
}

std::vector<OperationId> StrategySite::launch(Among among, CollectiveOp op, Bytes element, const Elements& elements,
                                              StreamName stream, const std::string& name,
                                              std::span<const OperationId> after) const {
  std::vector<OperationId> launched;
  const auto add = [&](GroupKind group, double count) {
    const CommunicationId id = communicators.stage_collective(group, stage, op, element * count);
    launched.push_back(builder.launch(Category::kData, stream, name, scenario.framework.host.collective, id, after));
  };
  const std::int64_t shard = is_fsdp(options().strategy) ? scenario.layout.hsdp_shard : scenario.layout.data_ranks();
  if (elements.shared > 0.0) {
    if (among == Among::kAll && scenario.layout.data_ranks() > 1) {
      add(GroupKind::kData, elements.shared);
    } else if (among == Among::kShards && shard > 1) {
      add(GroupKind::kShard, elements.shared);
    } else if (among == Among::kReplicas && shard < scenario.layout.data_ranks()) {
      add(GroupKind::kReplica, elements.shared);
    }
  }
  if (elements.experts > 0.0 && among != Among::kReplicas && scenario.layout.expert_dp() > 1) {
    add(GroupKind::kExpertData, elements.experts);
  }
  return launched;
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
  return {
      .shard = {.parameters = trainable, .gradient = site.gradient_element(), .model_copy = site.parameter_element()},
      .gradient_buffer = trainable};
}

UpdateShare fp32_shards_update(const StrategySite& site) {
  constexpr Bytes kFp32{4.0};
  return {.shard = {.parameters = site.sharded(), .gradient = kFp32, .model_copy = kFp32}};
}

std::unique_ptr<DataParallel> make_data_parallel(const StrategySite& site) {
  const DataParallelName name = site.options().strategy;
  if (site.scenario.layout.data_ranks() == 1) {
    return std::make_unique<Alone>(is_fsdp(name) ? fp32_shards_update(site) : unsharded_update(site));
  }
  const auto* row =
      std::find_if(kStrategies.begin(), kStrategies.end(), [name](const Row& r) { return r.name == name; });
  TY_ASSERT(row != kStrategies.end());
  return row->make(site);
}

}  // namespace trainyard
