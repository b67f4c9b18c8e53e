#pragma once
// What the host of a stage does, one thing after another: passes, and messages between them.
#include <cstdint>
#include <vector>

#include "sim/schedules/placement.hpp"

namespace trainyard {

enum class MessageWay { kSend, kReceive };
enum class MessageContent { kActivation, kGradient };

// A tensor that crosses a stage boundary. `model_chunk` is the chunk (0 .. stages * chunks - 1) whose forward consumes
// the activation, or whose backward produced the gradient: both cross the boundary in front of that chunk.
struct Message {
  MessageWay way = MessageWay::kSend;
  MessageContent content = MessageContent::kActivation;
  std::int32_t micro_batch = 0;
  std::int32_t model_chunk = 0;
  auto operator<=>(const Message&) const = default;
};

enum class ActionKind {
  kPass,
  kExchange,  // messages that are issued together and complete together before anything goes on
  kPost       // messages that are issued each on its own; a pass waits for its input only
};

// One thing the host of a stage does.
struct Action {
  ActionKind kind = ActionKind::kPass;
  StagePass pass;
  std::vector<Message> messages;
};
using StageActionList = std::vector<Action>;

}  // namespace trainyard
