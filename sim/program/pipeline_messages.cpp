#include "sim/program/pipeline_messages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "sim/layout/stage_schedule.hpp"

namespace trainyard {
namespace {

std::string message_name(const Message& message) {
  return fmt::format("{} {}", message.way == MessageWay::kReceive ? "receive" : "send",
                     message.content == MessageContent::kActivation ? "activation" : "gradient");
}

}  // namespace

PipelineMessages::PipelineMessages(const Scenario& scenario, const Layout& layout, std::int32_t stage,
                                   Communicators& communicators, RankBuilder& builder)
    : scenario_(scenario),
      layout_(layout),
      shape_(schedule_shape(scenario)),
      stage_(stage),
      communicators_(communicators),
      builder_(builder) {}

// Bytes of one micro-batch at a boundary, whole.
Bytes PipelineMessages::whole(const Message& message) const {
  const auto stage = static_cast<std::size_t>(stage_of(shape_, message.model_chunk));
  const auto chunk = static_cast<std::size_t>(chunk_of(shape_, message.model_chunk));
  const ShardShape& shard = layout_.shard;
  return shard.activation_element *
         static_cast<double>(boundary_elements(scenario_.model, shard, layout_.stages[stage].chunks[chunk]));
}

bool PipelineMessages::gathers_after_receive() const {
  return scenario_.framework.scatter_gather == ScatterGather::kOn && scenario_.layout.tp > 1 &&
         layout_.shard.sequence_parallel == SequenceParallel::kOff;
}

// What each tensor-parallel rank sends: its slice, or everything.
Bytes PipelineMessages::size(const Message& message) const {
  const bool slices = layout_.shard.sequence_parallel == SequenceParallel::kOn || gathers_after_receive();
  return whole(message) / (slices ? static_cast<double>(scenario_.layout.tp) : 1.0);
}

StreamName PipelineMessages::stream_of(const Message& message) const {
  const bool is_activation = message.content == MessageContent::kActivation;
  const bool downwards = leads_down(shape_, message.model_chunk) == is_activation;
  if (message.way == MessageWay::kSend) {
    return downwards ? StreamName::kSendNext : StreamName::kSendPrevious;
  }
  return downwards ? StreamName::kReceivePrevious : StreamName::kReceiveNext;
}

void PipelineMessages::gather_received(const Message& message) {
  const CommunicationId gather =
      communicators_.collective(ParallelGroup::kTensor, CollectiveOp::kAllGather, whole(message));
  builder_.communicate(Category::kPipeline, StreamName::kTensor, "gather received", communicators_.issue_time(gather),
                       {&gather, 1});
}

// One tensor after another, activations first; every announcement is a message that both hosts wait for.
void PipelineMessages::exchange_announced(const Action& action) {
  constexpr Bytes kAnnouncement{64.0};
  std::vector<Message> messages = action.messages;
  std::stable_sort(messages.begin(), messages.end(),
                   [](const Message& a, const Message& b) { return a.content < b.content; });
  const Seconds host = scenario_.framework.host.collective;
  for (const Message& message : messages) {
    const int announcements = message.content == MessageContent::kActivation
                                  ? scenario_.framework.activation_announcements
                                  : scenario_.framework.gradient_announcements;
    const CommunicationId announcement = communicators_.message(message, kAnnouncement);
    for (int i = 0; i < announcements; ++i) {
      builder_.communicate(Category::kPipeline, StreamName::kPipeline, "p2p announcement", host, {&announcement, 1});
      builder_.host_wait("wait for announcement");
    }
    const CommunicationId tensor = communicators_.message(message, size(message));
    builder_.communicate(Category::kPipeline, StreamName::kPipeline, "p2p " + message_name(message), host,
                         {&tensor, 1});
  }
}

void PipelineMessages::exchange(const Action& action) {
  builder_.set_label({.micro_batch = action.messages.front().micro_batch, .chunk = -1});
  if (scenario_.framework.exchange == PipelineExchange::kAnnounced) {
    exchange_announced(action);
    return;
  }
  std::vector<CommunicationId> messages;
  std::string name = "p2p";
  for (const Message& message : action.messages) {
    messages.push_back(communicators_.message(message, size(message)));
    name += " " + message_name(message);
  }
  const Seconds host = scenario_.framework.host.collective * static_cast<double>(action.messages.size());
  builder_.communicate(Category::kPipeline, StreamName::kPipeline, name, host, messages);
  if (scenario_.framework.exchange == PipelineExchange::kBatchedSync) {
    builder_.host_wait("wait for p2p");
  }
  for (const Message& message : action.messages) {
    if (message.way == MessageWay::kReceive && gathers_after_receive()) {
      gather_received(message);
    }
  }
}

void PipelineMessages::post(const Message& message) {
  builder_.set_label({.micro_batch = message.micro_batch, .chunk = -1});
  const OperationId operation =
      builder_.communicate_async(Category::kPipeline, stream_of(message), "p2p " + message_name(message),
                                 scenario_.framework.host.collective, communicators_.message(message, size(message)));
  if (message.way == MessageWay::kReceive) {
    posted_.emplace(message, operation);
  }
}

void PipelineMessages::await_input(const StagePass& pass) {
  const std::int32_t chunk = model_chunk_of(shape_, stage_, pass.chunk);
  const bool is_forward = pass.kind == PassKind::kForward;
  const auto found =
      posted_.find({MessageWay::kReceive, is_forward ? MessageContent::kActivation : MessageContent::kGradient,
                    pass.micro_batch, is_forward ? chunk : chunk + 1});
  if (pass.kind == PassKind::kWeightGradient || found == posted_.end()) {
    return;
  }
  builder_.join(found->second);
  if (gathers_after_receive()) {
    gather_received(found->first);
  }
  posted_.erase(found);
}

}  // namespace trainyard
