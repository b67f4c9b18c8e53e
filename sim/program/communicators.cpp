#include "sim/program/communicators.hpp"

#include <fmt/format.h>

#include <utility>

#include "sim/layout/stage_schedule.hpp"

namespace trainyard {
namespace {

constexpr std::int32_t kEveryStage = -1;
constexpr int kMessageKey = 100;  // beyond the group kinds
constexpr int kRingKey = 200;     // plus the group kind
constexpr int kHostKey = 300;     // plus the way

}  // namespace

Seconds issue_time(const Scenario& scenario, CollectiveOp op, std::size_t members) {
  const HostCosts& host = scenario.framework.host;
  // Sends and receives are not compared.
  const bool is_checked =
      scenario.training.distributed_debug == DistributedDebug::kDetail && op != CollectiveOp::kSendRecv;
  return host.collective + host.collective_check * (is_checked ? static_cast<double>(members) : 0.0);
}

Communicators::Communicators(const Scenario& scenario, const Layout& layout)
    : layout_(&layout),
      scenario_(&scenario),
      shape_(schedule_shape(scenario)),
      shard_(static_cast<std::size_t>(scenario.layout.hsdp_shard)),
      expert_shard_(static_cast<std::size_t>(scenario.layout.expert_shard())),
      context_inner_(static_cast<std::size_t>(scenario.layout.context_inner)) {}

Seconds Communicators::issue_time(CommunicationId id) const {
  const Communication& communication = communications_[id.index()];
  return trainyard::issue_time(*scenario_, communication.op, communication.groups.front().size());
}

std::int32_t Communicators::stage_of_rank(RankId rank) const {
  return static_cast<std::int32_t>(layout_->grid.coordinate(rank, Dimension::kPipeline));
}

std::vector<std::vector<RankId>> Communicators::groups(ParallelGroup kind) const {
  switch (kind) {
    case ParallelGroup::kTensor:
      return layout_->grid.groups({Dimension::kTensor});
    case ParallelGroup::kData:
      return layout_->grid.groups({Dimension::kContext, Dimension::kData});
    case ParallelGroup::kContext:
      return layout_->grid.groups({Dimension::kContext});
    case ParallelGroup::kContextInner:
      return blocks_of(layout_->grid.groups({Dimension::kContext}), context_inner_);
    case ParallelGroup::kContextOuter:
      return across_blocks(layout_->grid.groups({Dimension::kContext}), context_inner_);
    case ParallelGroup::kExpert:
      return layout_->expert_grid.groups({Dimension::kExpert});
    case ParallelGroup::kExpertTensor:
      return layout_->expert_grid.groups({Dimension::kTensor});
    case ParallelGroup::kExpertData:
      return layout_->expert_grid.groups({Dimension::kData});
    case ParallelGroup::kExpertShard:
      return blocks_of(groups(ParallelGroup::kExpertData), expert_shard_);
    case ParallelGroup::kExpertReplica:
      return across_blocks(groups(ParallelGroup::kExpertData), expert_shard_);
    case ParallelGroup::kShard:
      return blocks_of(groups(ParallelGroup::kData), shard_);
    case ParallelGroup::kReplica:
      return across_blocks(groups(ParallelGroup::kData), shard_);
    case ParallelGroup::kModel:
      return layout_->grid.groups({Dimension::kTensor, Dimension::kPipeline});
    case ParallelGroup::kMirror:
      return mirrors();
    case ParallelGroup::kEmbedding:
      break;
  }
  std::vector<std::vector<RankId>> pairs = layout_->grid.groups({Dimension::kPipeline});
  for (std::vector<RankId>& group : pairs) {
    group = {group.front(), group.back()};
  }
  return pairs;
}

std::vector<std::vector<RankId>> Communicators::mirrors() const {
  std::vector<std::vector<RankId>> pairs;
  for (const std::vector<RankId>& group : layout_->grid.groups({Dimension::kPipeline})) {
    for (std::size_t s = 0; s < group.size() / 2; ++s) {
      pairs.push_back({group[s], group[group.size() - 1 - s]});
    }
  }
  return pairs;
}

CommunicationId Communicators::add(const Key& key, Communication communication) {
  communications_.push_back(std::move(communication));
  const auto id = CommunicationId::from(communications_.size() - 1);
  known_.emplace(key, id);
  return id;
}

CommunicationId Communicators::collective(ParallelGroup kind, CollectiveOp op, Bytes size) {
  const Key key{static_cast<int>(kind), kEveryStage, 0, static_cast<int>(op), size.value};
  if (const auto found = known_.find(key); found != known_.end()) {
    return found->second;
  }
  return add(key, {.name = fmt::format("{} {}", kParallelGroupNames.name_of(kind), kCollectiveOpNames.name_of(op)),
                   .op = op,
                   .size = size,
                   .groups = groups(kind)});
}

CommunicationId Communicators::stage_collective(ParallelGroup kind, std::int32_t stage, CollectiveOp op, Bytes size) {
  const Key key{static_cast<int>(kind), stage, 0, static_cast<int>(op), size.value};
  if (const auto found = known_.find(key); found != known_.end()) {
    return found->second;
  }
  std::vector<std::vector<RankId>> of_stage;
  for (std::vector<RankId>& group : groups(kind)) {
    if (stage_of_rank(group.front()) == stage) {
      of_stage.push_back(std::move(group));
    }
  }
  return add(key, {.name = fmt::format("{} {} of stage {}", kParallelGroupNames.name_of(kind),
                                       kCollectiveOpNames.name_of(op), stage),
                   .op = op,
                   .size = size,
                   .groups = std::move(of_stage)});
}

CommunicationId Communicators::ring_step(ParallelGroup kind, Bytes size) {
  const Key key{kRingKey + static_cast<int>(kind), kEveryStage, 0, 0, size.value};
  if (const auto found = known_.find(key); found != known_.end()) {
    return found->second;
  }
  Communication step{.name = fmt::format("{} ring step", kParallelGroupNames.name_of(kind)),
                     .op = CollectiveOp::kAllToAllV,
                     .size = size,
                     .groups = groups(kind)};
  const auto members = static_cast<std::int32_t>(step.groups.front().size());
  for (std::int32_t member = 0; member < members; ++member) {
    step.transfers.push_back({.from = member, .to = (member + 1) % members, .bytes = size});
  }
  return add(key, std::move(step));
}

CommunicationId Communicators::host_copy(std::int32_t stage, HostWay way, Bytes size) {
  const Key key{kHostKey + static_cast<int>(way), stage, 0, 0, size.value};
  if (const auto found = known_.find(key); found != known_.end()) {
    return found->second;
  }
  std::vector<std::vector<RankId>> ranks;
  for (std::size_t rank = 0; rank < layout_->grid.ranks(); ++rank) {
    if (stage_of_rank(RankId::from(rank)) == stage) {
      ranks.push_back({RankId::from(rank)});
    }
  }
  return add(key, {.name = fmt::format("copy {} host on stage {}", way == HostWay::kToHost ? "to" : "from", stage),
                   .op = CollectiveOp::kSendRecv,
                   .size = size,
                   .groups = std::move(ranks),
                   .transfers = {},
                   .host = way});
}

CommunicationId Communicators::message(const Message& message, Bytes size) {
  // Chunks that meet at the same pair of stages share a channel: messages between two ranks keep their order.
  const std::int32_t behind = stage_of(shape_, message.model_chunk);
  const std::int32_t before = stage_of(shape_, message.model_chunk - 1);
  const bool is_activation = message.content == MessageContent::kActivation;
  const auto [from, to] = is_activation ? std::pair{before, behind} : std::pair{behind, before};
  const Key key{kMessageKey, from, to, static_cast<int>(message.content), size.value};
  if (const auto found = known_.find(key); found != known_.end()) {
    return found->second;
  }
  std::vector<std::vector<RankId>> pairs;
  for (const std::vector<RankId>& group : layout_->grid.groups({Dimension::kPipeline})) {
    pairs.push_back({group[static_cast<std::size_t>(from)], group[static_cast<std::size_t>(to)]});
  }
  return add(key, {.name = fmt::format("{} from stage {} to {}", is_activation ? "activation" : "gradient", from, to),
                   .op = CollectiveOp::kSendRecv,
                   .size = size,
                   .groups = std::move(pairs)});
}

}  // namespace trainyard
