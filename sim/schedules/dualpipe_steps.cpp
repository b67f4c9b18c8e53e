#include "sim/schedules/dualpipe_steps.hpp"

#include <deque>

namespace trainyard {
namespace {

enum class Backward { kWhole, kInputsOnly };

class Steps {
 public:
  Steps(std::int32_t phase_0, StageOrder order) : phase_0_(phase_0), order_(std::move(order)) {}

  void forward(std::int32_t phase) { order_.forward(chunk(phase)); }
  void backward(std::int32_t phase, Backward kind = Backward::kWhole) {
    if (kind == Backward::kWhole) {
      order_.backward(chunk(phase));
    } else {
      const std::int32_t micro_batch = order_.input_gradients(chunk(phase));
      order_.input_gradient(chunk(phase));
      waiting_.push_back({PassKind::kWeightGradient, micro_batch, chunk(phase)});
    }
  }
  // The oldest weight gradient that waits.
  void weights() {
    order_.add_pass(waiting_.front());
    waiting_.pop_front();
  }
  // Overlapped: both inputs first, both outputs last.
  void forward_and_backward(std::int32_t forward_phase, std::int32_t backward_phase) {
    forward(forward_phase);
    order_.join();
    backward(backward_phase);
  }
  PassOrder take() { return order_.take(); }

 private:
  std::int32_t chunk(std::int32_t phase) const { return phase == 0 ? phase_0_ : 1 - phase_0_; }

  std::int32_t phase_0_;
  StageOrder order_;
  std::deque<StagePass> waiting_;
};

}  // namespace

PassOrder dualpipe_order(std::int32_t half, std::int32_t place, std::int32_t micro_batches, std::int32_t phase_0,
                         StageOrder order) {
  const std::int32_t inner = half - 1 - place;  // stages further in
  Steps steps(phase_0, std::move(order));
  for (std::int32_t i = 0; i < 2 * inner; ++i) {
    steps.forward(0);
  }
  for (std::int32_t i = 0; i <= place; ++i) {
    steps.forward(0);
    steps.forward(1);
  }
  for (std::int32_t i = 0; i < inner; ++i) {
    steps.backward(1, Backward::kInputsOnly);
    steps.weights();
    steps.forward(1);
  }
  for (std::int32_t i = 0; i < micro_batches - 2 * half + place + 1; ++i) {
    if (i == 0 && inner == 0) {  // not overlapped, to shorten the bubble
      steps.forward(0);
      steps.backward(1);
    } else {
      steps.forward_and_backward(0, 1);
    }
    steps.forward_and_backward(1, 0);
  }
  for (std::int32_t i = 0; i < inner; ++i) {
    steps.backward(1);
    steps.forward_and_backward(1, 0);
  }
  // The second half of these leaves the weights' gradients for later.
  Backward kind = Backward::kWhole;
  for (std::int32_t i = 0; i <= place; ++i) {
    const bool is_half = i == (place + 1) / 2;
    kind = is_half && place % 2 == 1 ? Backward::kInputsOnly : kind;
    steps.backward(1, kind);
    kind = is_half ? Backward::kInputsOnly : kind;
    steps.backward(0, kind);
  }
  for (std::int32_t i = 0; i < inner; ++i) {
    steps.weights();
    steps.backward(0, Backward::kInputsOnly);
  }
  for (std::int32_t i = 0; i <= place; ++i) {
    steps.weights();
  }
  return steps.take();
}

}  // namespace trainyard
