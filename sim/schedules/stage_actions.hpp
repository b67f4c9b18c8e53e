#pragma once
// Collects the actions of one stage; knows which messages exist at the boundaries of its chunks.
#include <utility>
#include <vector>

#include "sim/schedules/actions.hpp"

namespace trainyard {

class StageActions {
 public:
  StageActions(const ScheduleShape& shape, std::int32_t stage) : shape_(shape), stage_(stage) {}

  void forward(std::int32_t micro_batch, std::int32_t chunk, Joined joined = Joined::kNo) {
    pass({PassKind::kForward, micro_batch, chunk, joined});
  }
  void backward(std::int32_t micro_batch, std::int32_t chunk) { pass({PassKind::kBackward, micro_batch, chunk}); }

  // Messages of the exchange that is being collected; none is added where the model begins or ends.
  void receive_forward(std::int32_t micro_batch, std::int32_t chunk) {
    add(MessageWay::kReceive, MessageContent::kActivation, micro_batch, model_chunk(chunk));
  }
  void send_forward(std::int32_t micro_batch, std::int32_t chunk) {
    add(MessageWay::kSend, MessageContent::kActivation, micro_batch, model_chunk(chunk) + 1);
  }
  void receive_backward(std::int32_t micro_batch, std::int32_t chunk) {
    add(MessageWay::kReceive, MessageContent::kGradient, micro_batch, model_chunk(chunk) + 1);
  }
  void send_backward(std::int32_t micro_batch, std::int32_t chunk) {
    add(MessageWay::kSend, MessageContent::kGradient, micro_batch, model_chunk(chunk));
  }
  // Ends the exchange; one without messages leaves no action.
  void exchange() {
    if (!messages_.empty()) {
      actions_.push_back({.kind = ActionKind::kExchange, .pass = {}, .messages = std::exchange(messages_, {})});
    }
  }

  // A pass that overlaps no other: its input arrives before it, its output leaves in an exchange of its own.
  void forward_alone(std::int32_t micro_batch, std::int32_t chunk) {
    receive_forward(micro_batch, chunk);
    exchange();
    forward(micro_batch, chunk);
    send_forward(micro_batch, chunk);
    exchange();
  }
  void backward_alone(std::int32_t micro_batch, std::int32_t chunk) {
    receive_backward(micro_batch, chunk);
    exchange();
    backward(micro_batch, chunk);
    send_backward(micro_batch, chunk);
    exchange();
  }

  StageActionList take() { return std::move(actions_); }

 private:
  void pass(const StagePass& pass) { actions_.push_back({.kind = ActionKind::kPass, .pass = pass, .messages = {}}); }
  std::int32_t model_chunk(std::int32_t chunk) const { return model_chunk_of(shape_, stage_, chunk); }
  // `boundary` is the model chunk behind the boundary.
  void add(MessageWay way, MessageContent content, std::int32_t micro_batch, std::int32_t boundary) {
    if (crosses_stages(shape_, boundary)) {
      messages_.push_back({way, content, micro_batch, boundary});
    }
  }

  ScheduleShape shape_;
  std::int32_t stage_;
  std::vector<Message> messages_;
  StageActionList actions_;
};

}  // namespace trainyard
