#include "sim/memory/memory_meter.hpp"

namespace trainyard {

MemoryUses uses_at(const StageHoldings& holdings, const PassesUnderWay& now) {
  MemoryUses uses = holdings.resident;
  for (std::size_t c = 0; c < now.held.size(); ++c) {
    const ChunkHoldings& chunk = holdings.chunks[c];
    uses[MemoryUse::kActivations] += chunk.activations * static_cast<double>(now.held[c]);
    uses[MemoryUse::kActivations] += chunk.for_weights * static_cast<double>(now.halfway[c]);
    uses[MemoryUse::kLogits] += chunk.logits * static_cast<double>(now.held[c]);
    uses[MemoryUse::kRecompute] += chunk.recompute * static_cast<double>(now.backward[c]);
  }
  if (now.has_gradients) {
    uses[MemoryUse::kGradients] += holdings.autograd_gradients;
  }
  // Forward passes that are held, and the backward pass that the device is still at when the next forward is issued.
  const double lagging = static_cast<double>(now.most_held) + (now.follows ? 1.0 : 0.0);
  uses[MemoryUse::kCommunication] += min(holdings.most_lagging_buffers, holdings.lagging_buffers_per_pass * lagging);
  const Bytes passing = uses[MemoryUse::kActivations] + uses[MemoryUse::kLogits] + uses[MemoryUse::kRecompute];
  uses[MemoryUse::kFragmentation] += passing * holdings.fragmentation;
  return uses;
}

MemoryUses host_uses_at(const StageHoldings& holdings, const PassesUnderWay& now) {
  MemoryUses uses = holdings.on_host;
  for (std::size_t c = 0; c < now.held.size(); ++c) {
    uses[MemoryUse::kActivations] += holdings.chunks[c].on_host * static_cast<double>(now.held[c]);
  }
  return uses;
}

void MemoryMeter::note(const PassesUnderWay& now) {
  note(uses_at(holdings_, now));
  if (const MemoryUses host = host_uses_at(holdings_, now); host.total() > peak_.host.total()) {
    peak_.host = host;
  }
}

void MemoryMeter::note(const MemoryUses& uses) {
  const Bytes total = uses.total();
  if (total > peak_.total) {
    peak_.uses = uses;
    peak_.total = total;
  }
}

}  // namespace trainyard
