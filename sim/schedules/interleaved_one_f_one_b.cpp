// Interleaved 1F1B in Megatron's order (arXiv 2104.04473 section 2.2.2; megatron/core/pipeline_parallel/schedules.py):
// groups of micro-batches visit the stage's chunks in turn. A virtual pass is one micro-batch through one chunk; which
// ones follows from its number alone. Each exchange sends what the last passes produced and receives what the next ones
// need. On the first stage an activation arrives from the last stage, which runs stages - 1 virtual passes behind, and
// is received when it is produced, not when it is needed; on the last stage the same holds for gradients.
#include <algorithm>
#include <utility>

#include "sim/schedules/schedule.hpp"
#include "sim/schedules/stage_actions.hpp"

namespace trainyard {
namespace {

// (micro-batch, chunk) of every virtual forward pass. The last group takes what is left of the micro-batches.
// Source: get_schedule_table.
std::vector<std::pair<std::int32_t, std::int32_t>> virtual_passes(const ScheduleShape& shape) {
  const std::int32_t group = shape.group > 0 ? shape.group : shape.stages;
  std::vector<std::pair<std::int32_t, std::int32_t>> out;
  for (std::int32_t first = 0; first < shape.micro_batches; first += group) {
    const std::int32_t end = std::min(first + group, shape.micro_batches);
    for (std::int32_t chunk = 0; chunk < shape.chunks; ++chunk) {
      for (std::int32_t m = first; m < end; ++m) {
        out.emplace_back(m, chunk);
      }
    }
  }
  return out;
}

class Interleaving {
 public:
  Interleaving(const ScheduleShape& shape, std::int32_t stage)
      : shape_(shape),
        stage_(stage),
        total_(shape.micro_batches * shape.chunks),
        passes_(virtual_passes(shape)),
        actions_(shape, stage) {
    const std::int32_t group = shape.group > 0 ? shape.group : shape.stages;
    const std::int32_t ahead = shape.pairs == Pairs::kJoined ? 1 : 0;
    const std::int32_t needed = (shape.stages - stage - 1) * 2 + (shape.chunks - 1) * group + ahead;
    // With as many micro-batches as stages all forwards come before all backwards.
    all_warm_up_ = shape.micro_batches == shape.stages || needed >= total_;
    warm_up_ = all_warm_up_ ? total_ : needed;
  }

  PassOrder order() {
    PassOrder out;
    for (std::int32_t k = 0; k < total_ + warm_up_; ++k) {
      if (k < total_) {
        out.push_back({PassKind::kForward, micro_batch(k), chunk(k), k >= warm_up_ ? joined() : Joined::kNo});
      }
      if (k >= warm_up_) {
        out.push_back({PassKind::kBackward, micro_batch(k - warm_up_), backward_chunk(k - warm_up_)});
      }
    }
    return out;
  }

  StageActionList exchanges() {
    receive_input_of(0);
    actions_.exchange();
    for (std::int32_t k = 0; k < warm_up_; ++k) {
      actions_.forward(micro_batch(k), chunk(k));
      actions_.send_forward(micro_batch(k), chunk(k));
      receive_next_input(k);
      if (k == warm_up_ - 1 && !all_warm_up_) {
        receive_gradient_of(0);
      }
      actions_.exchange();
    }
    for (std::int32_t k = 0; k < total_ - warm_up_; ++k) {
      steady(k, k + warm_up_);
    }
    if (all_warm_up_) {
      receive_gradient_of(0);
      actions_.exchange();
    }
    for (std::int32_t k = total_ - warm_up_; k < total_; ++k) {
      actions_.backward(micro_batch(k), backward_chunk(k));
      actions_.send_backward(micro_batch(k), backward_chunk(k));
      receive_next_gradient(k);
      actions_.exchange();
    }
    return actions_.take();
  }

 private:
  std::int32_t micro_batch(std::int32_t k) const { return passes_[static_cast<std::size_t>(k)].first; }
  std::int32_t chunk(std::int32_t k) const { return passes_[static_cast<std::size_t>(k)].second; }
  std::int32_t backward_chunk(std::int32_t k) const { return shape_.chunks - 1 - chunk(k); }

  Joined joined() const { return shape_.pairs == Pairs::kJoined ? Joined::kWithNext : Joined::kNo; }

  void steady(std::int32_t backward, std::int32_t forward) {
    actions_.forward(micro_batch(forward), chunk(forward), joined());
    actions_.backward(micro_batch(backward), backward_chunk(backward));
    actions_.send_forward(micro_batch(forward), chunk(forward));
    actions_.send_backward(micro_batch(backward), backward_chunk(backward));
    receive_next_input(forward);
    receive_next_gradient(backward);
    actions_.exchange();
  }

  // Input of virtual forward pass k of this stage.
  void receive_input_of(std::int32_t k) {
    if (k < total_) {
      actions_.receive_forward(micro_batch(k), chunk(k));
    }
  }
  // The activation that arrives after virtual forward pass k.
  void receive_next_input(std::int32_t k) {
    if (stage_ > 0) {
      receive_input_of(k + 1);
      return;
    }
    const std::int32_t produced = k - (shape_.stages - 1);
    if (produced >= 0 && k + 1 < total_ && chunk(produced) + 1 < shape_.chunks) {
      actions_.receive_forward(micro_batch(produced), chunk(produced) + 1);
    }
  }
  // Gradient that virtual backward pass k of this stage consumes.
  void receive_gradient_of(std::int32_t k) {
    if (k < total_) {
      actions_.receive_backward(micro_batch(k), backward_chunk(k));
    }
  }
  // The gradient that arrives after virtual backward pass k.
  void receive_next_gradient(std::int32_t k) {
    if (stage_ < shape_.stages - 1) {
      receive_gradient_of(k + 1);
      return;
    }
    const std::int32_t produced = k - (shape_.stages - 1);
    if (produced >= 0 && k + 1 < total_ && backward_chunk(produced) > 0) {
      actions_.receive_backward(micro_batch(produced), backward_chunk(produced) - 1);
    }
  }

  ScheduleShape shape_;
  std::int32_t stage_;
  std::int32_t total_;
  std::vector<std::pair<std::int32_t, std::int32_t>> passes_;
  std::int32_t warm_up_ = 0;
  bool all_warm_up_ = false;
  StageActions actions_;
};

}  // namespace

std::vector<PassOrder> interleaved_one_f_one_b(const ScheduleShape& shape) {
  std::vector<PassOrder> orders;
  for (std::int32_t stage = 0; stage < shape.stages; ++stage) {
    orders.push_back(Interleaving(shape, stage).order());
  }
  return orders;
}

StageActionList interleaved_exchanges(const ScheduleShape& shape, std::int32_t stage) {
  return Interleaving(shape, stage).exchanges();
}

}  // namespace trainyard
