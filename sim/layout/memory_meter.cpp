#include "sim/layout/memory_meter.hpp"

#include <algorithm>
#include <numeric>

#include "sim/base/error.hpp"

namespace trainyard {

MemoryMeter::MemoryMeter(const StageHoldings& holdings)
    : holdings_(holdings),
      held_(holdings.chunks.size()),
      backward_(holdings.chunks.size()),
      halfway_(holdings.chunks.size()) {
  note_peak();
}

void MemoryMeter::begin_forward(std::size_t chunk) {
  ++held_[chunk];
  follows_ = follows_ || has_finished_;
  most_held_ = std::max(most_held_, std::accumulate(held_.begin(), held_.end(), 0));
  note_peak();
}

void MemoryMeter::begin_backward(std::size_t chunk) {
  ++backward_[chunk];
  note_peak();
}

void MemoryMeter::end_backward(std::size_t chunk) {
  TY_ASSERT(held_[chunk] > 0 && backward_[chunk] > 0);
  --held_[chunk];
  --backward_[chunk];
  has_gradients_ = true;
  has_finished_ = true;
  note_peak();
}

void MemoryMeter::end_input_gradient(std::size_t chunk) {
  TY_ASSERT(held_[chunk] > 0 && backward_[chunk] > 0);
  --held_[chunk];
  --backward_[chunk];
  ++halfway_[chunk];
  note_peak();
}

void MemoryMeter::end_weight_gradient(std::size_t chunk) {
  TY_ASSERT(halfway_[chunk] > 0);
  has_gradients_ = true;
  note_peak();
  --halfway_[chunk];
}

void MemoryMeter::release_gradients() {
  has_gradients_ = false;
}

MemoryUses MemoryMeter::now() const {
  MemoryUses uses = holdings_.resident;
  for (std::size_t c = 0; c < held_.size(); ++c) {
    const ChunkHoldings& chunk = holdings_.chunks[c];
    uses[MemoryUse::kActivations] += chunk.activations * static_cast<double>(held_[c]);
    uses[MemoryUse::kActivations] += chunk.for_weights * static_cast<double>(halfway_[c]);
    uses[MemoryUse::kLogits] += chunk.logits * static_cast<double>(held_[c]);
    uses[MemoryUse::kRecompute] += chunk.recompute * static_cast<double>(backward_[c]);
  }
  if (has_gradients_) {
    uses[MemoryUse::kGradients] += holdings_.autograd_gradients;
  }
  // Forward passes that are held, and the backward pass that the device is still at when the next forward is issued.
  const double lagging = static_cast<double>(most_held_) + (follows_ ? 1.0 : 0.0);
  uses[MemoryUse::kCommunication] += min(holdings_.most_lagging_buffers, holdings_.lagging_buffers_per_pass * lagging);
  const Bytes passing = uses[MemoryUse::kActivations] + uses[MemoryUse::kLogits] + uses[MemoryUse::kRecompute];
  uses[MemoryUse::kFragmentation] += passing * holdings_.fragmentation;
  return uses;
}

void MemoryMeter::note_peak() {
  const MemoryUses uses = now();
  const Bytes total = uses.total();
  if (total > peak_.total) {
    peak_ = {.uses = uses, .total = total, .at = {}};
  }
}

}  // namespace trainyard
