#include "sim/schedules/posted_messages.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

namespace trainyard {
namespace {

// Passes that run as one: [begin, end) of a stage's order.
struct Unit {
  std::size_t begin;
  std::size_t end;
};

std::vector<Unit> units_of(const PassOrder& order) {
  std::vector<Unit> units;
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin + 1;
    while (end < order.size() && order[end - 1].joined == Joined::kWithNext) {
      ++end;
    }
    units.push_back({begin, end});
    begin = end;
  }
  return units;
}

class Posting {
 public:
  Posting(const std::vector<PassOrder>& orders, const ScheduleShape& shape, PipelineExchange exchange)
      : orders_(orders), shape_(shape), exchange_(exchange), inboxes_(orders.size()) {
    const auto model_chunks = static_cast<std::size_t>(shape.stages) * static_cast<std::size_t>(shape.chunks);
    for (auto& of_content : taken_at_) {
      of_content.assign(model_chunks * static_cast<std::size_t>(shape.micro_batches), 0);
    }
    for (const PassOrder& order : orders) {
      units_.push_back(units_of(order));
    }
  }

  std::vector<StageActionList> build() {
    for (std::size_t stage = 0; stage < orders_.size(); ++stage) {
      note_receives(stage);
    }
    for (std::size_t stage = 0; stage < orders_.size(); ++stage) {
      deliver_sends(stage);
    }
    std::vector<StageActionList> out;
    for (std::size_t stage = 0; stage < orders_.size(); ++stage) {
      out.push_back(actions_of(stage));
    }
    return out;
  }

 private:
  struct Receive {
    Message message;
    std::size_t unit;  // posted before it
  };
  // From the stage before and from the stage behind.
  using Inbox = std::array<std::vector<Receive>, 2>;

  std::size_t& taken_at(const Message& message) {
    const std::size_t index =
        static_cast<std::size_t>(message.model_chunk) * static_cast<std::size_t>(shape_.micro_batches) +
        static_cast<std::size_t>(message.micro_batch);
    return taken_at_[static_cast<std::size_t>(message.content)][index];
  }

  // When each tensor is wanted: by the stage's unit, less one where p2p overlaps.
  void note_receives(std::size_t stage) {
    const PassOrder& order = orders_[stage];
    const auto is_backward = [](const StagePass& pass) { return pass.kind != PassKind::kForward; };
    const auto first_backward =
        static_cast<std::size_t>(std::find_if(order.begin(), order.end(), is_backward) - order.begin());
    const auto last_forward =
        static_cast<std::size_t>(order.rend() - std::find_if_not(order.rbegin(), order.rend(), is_backward));
    for (std::size_t unit = 0; unit < units_[stage].size(); ++unit) {
      const auto [begin, end] = units_[stage][unit];
      const bool steady = begin >= first_backward && begin < last_forward;
      const bool early = exchange_ == PipelineExchange::kOverlappedThroughout ||
                         (exchange_ == PipelineExchange::kOverlapped && steady);
      for (const StagePass& pass : std::span(order).subspan(begin, end - begin)) {
        const std::int32_t chunk = model_chunk_of(shape_, static_cast<std::int32_t>(stage), pass.chunk);
        const std::size_t at = early && unit > 0 ? unit - 1 : unit;
        if (pass.kind == PassKind::kForward) {
          taken_at({MessageWay::kReceive, MessageContent::kActivation, pass.micro_batch, chunk}) = at;
        } else if (pass.kind != PassKind::kWeightGradient && chunk + 1 < shape_.stages * shape_.chunks) {
          taken_at({MessageWay::kReceive, MessageContent::kGradient, pass.micro_batch, chunk + 1}) = at;
        }
      }
    }
  }

  // What a pass sends to another stage, if anything.
  bool output_of(std::size_t stage, const StagePass& pass, Message& message) const {
    const std::int32_t chunk = model_chunk_of(shape_, static_cast<std::int32_t>(stage), pass.chunk);
    const bool is_forward = pass.kind == PassKind::kForward;
    message = {MessageWay::kSend, is_forward ? MessageContent::kActivation : MessageContent::kGradient,
               pass.micro_batch, is_forward ? chunk + 1 : chunk};
    return pass.kind != PassKind::kWeightGradient && crosses_stages(shape_, message.model_chunk);
  }

  void deliver_sends(std::size_t stage) {
    for (const StagePass& pass : orders_[stage]) {
      Message message;
      if (!output_of(stage, pass, message)) {
        continue;
      }
      const bool is_activation = message.content == MessageContent::kActivation;
      const std::int32_t to = stage_of(shape_, is_activation ? message.model_chunk : message.model_chunk - 1);
      const bool from_before = leads_down(shape_, message.model_chunk) == is_activation;
      message.way = MessageWay::kReceive;
      inboxes_[static_cast<std::size_t>(to)][from_before ? 0 : 1].push_back({message, taken_at(message)});
    }
  }

  StageActionList actions_of(std::size_t stage) {
    std::array<std::size_t, 2> next{};
    for (std::vector<Receive>& receives : inboxes_[stage]) {
      for (std::size_t i = receives.size(); i-- > 1;) {
        receives[i - 1].unit = std::min(receives[i - 1].unit, receives[i].unit);
      }
    }
    StageActionList actions;
    for (std::size_t unit = 0; unit < units_[stage].size(); ++unit) {
      for (std::size_t side = 0; side < 2; ++side) {
        const std::vector<Receive>& receives = inboxes_[stage][side];
        while (next[side] < receives.size() && receives[next[side]].unit <= unit) {
          actions.push_back({.kind = ActionKind::kPost, .pass = {}, .messages = {receives[next[side]].message}});
          ++next[side];
        }
      }
      const auto [begin, end] = units_[stage][unit];
      for (std::size_t i = begin; i < end; ++i) {
        actions.push_back({.kind = ActionKind::kPass, .pass = orders_[stage][i], .messages = {}});
      }
      for (std::size_t i = begin; i < end; ++i) {
        Message message;
        if (output_of(stage, orders_[stage][i], message)) {
          actions.push_back({.kind = ActionKind::kPost, .pass = {}, .messages = {message}});
        }
      }
    }
    return actions;
  }

  const std::vector<PassOrder>& orders_;
  const ScheduleShape& shape_;
  PipelineExchange exchange_;
  std::vector<std::vector<Unit>> units_;
  std::array<std::vector<std::size_t>, 2> taken_at_;  // by content: unit of the stage that takes the tensor
  std::vector<Inbox> inboxes_;
};

}  // namespace

std::vector<StageActionList> post_messages(const std::vector<PassOrder>& orders, const ScheduleShape& shape,
                                           PipelineExchange exchange) {
  return Posting(orders, shape, exchange).build();
}

}  // namespace trainyard
