#pragma once
// Writes the order of one stage's passes down: each kind takes the micro-batches of a chunk in turn.
#include <array>
#include <cstddef>
#include <utility>

#include "sim/schedules/pipeline.hpp"

namespace trainyard {

class StageOrder {
 public:
  // `first`: micro-batch that each of the two chunks begins with.
  explicit StageOrder(std::array<std::int32_t, 2> first = {}) : forward_(first), backward_(first), weights_(first) {}

  StageOrder& forward(std::int32_t chunk) { return add(PassKind::kForward, chunk, forward_); }
  StageOrder& backward(std::int32_t chunk) {
    add(PassKind::kBackward, chunk, backward_);
    ++weights_[static_cast<std::size_t>(chunk)];
    return *this;
  }
  StageOrder& input_gradient(std::int32_t chunk) { return add(PassKind::kInputGradient, chunk, backward_); }
  StageOrder& weight_gradient(std::int32_t chunk) { return add(PassKind::kWeightGradient, chunk, weights_); }
  // A pass whose micro-batch the caller knows.
  void add_pass(const StagePass& pass) { order_.push_back(pass); }
  // The pass added last runs as one with the pass added next.
  void join() { order_.back().joined = Joined::kWithNext; }

  std::int32_t forwards(std::int32_t chunk) const { return forward_[static_cast<std::size_t>(chunk)]; }
  std::int32_t input_gradients(std::int32_t chunk) const { return backward_[static_cast<std::size_t>(chunk)]; }
  std::int32_t weight_gradients(std::int32_t chunk) const { return weights_[static_cast<std::size_t>(chunk)]; }

  PassOrder take() { return std::move(order_); }

 private:
  StageOrder& add(PassKind kind, std::int32_t chunk, std::array<std::int32_t, 2>& next) {
    order_.push_back({kind, next[static_cast<std::size_t>(chunk)]++, chunk});
    return *this;
  }

  std::array<std::int32_t, 2> forward_;
  std::array<std::int32_t, 2> backward_;
  std::array<std::int32_t, 2> weights_;
  PassOrder order_;
};

}  // namespace trainyard
