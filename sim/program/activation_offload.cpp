#include "sim/program/activation_offload.hpp"

#include "sim/memory/offload.hpp"

namespace trainyard {

ActivationOffload::ActivationOffload(const HostCopies& copies, const Layout& layout) : copies_(copies) {
  for (const Chunk& chunk : layout.stages[static_cast<std::size_t>(copies.stage)].chunks) {
    layers_.push_back(offloaded_activations(copies.scenario, layout.shard, chunk));
  }
}

Bytes ActivationOffload::bytes(const Pass& pass, std::int64_t layer) const {
  const std::vector<Bytes>& layers = layers_[static_cast<std::size_t>(pass.chunk)];
  const auto index = static_cast<std::size_t>(layer);
  return index < layers.size() ? layers[index] : Bytes{};
}

void ActivationOffload::before_forward(const Pass& pass, std::int64_t layer) {
  if (bytes(pass, layer) > Bytes{} && leaving_.size() >= kCopyBuffers) {
    copies_.builder.join(leaving_.front());
    leaving_.pop_front();
  }
}

void ActivationOffload::after_forward(const Pass& pass, std::int64_t layer) {
  const Bytes size = bytes(pass, layer);
  if (size > Bytes{}) {
    const std::vector<OperationId> computed = copies_.builder.frontier();
    leaving_.push_back(copies_.launch(HostWay::kToHost, Category::kOffload, "activations to host", size, computed));
    stored_.emplace(Key{pass.chunk, pass.micro_batch, layer}, leaving_.back());
  }
}

void ActivationOffload::begin_backward(const Pass& pass) {
  if (copies_.scenario.training.offload.prefetch == CopyAhead::kOn) {
    fetch_below(pass, static_cast<std::int64_t>(layers_[static_cast<std::size_t>(pass.chunk)].size()));
  }
}

void ActivationOffload::before_backward(const Pass& pass, std::int64_t layer) {
  if (bytes(pass, layer) <= Bytes{}) {
    return;
  }
  const bool ahead = copies_.scenario.training.offload.prefetch == CopyAhead::kOn;
  if (ahead) {
    fetch_below(pass, layer);
  } else {
    fetch(pass, layer);
  }
  const auto fetched = fetched_.find({pass.chunk, pass.micro_batch, layer});
  copies_.builder.join(fetched->second);
  fetched_.erase(fetched);
}

void ActivationOffload::fetch_below(const Pass& pass, std::int64_t layer) {
  while (layer-- > 0) {
    if (bytes(pass, layer) > Bytes{}) {
      fetch(pass, layer);
      return;
    }
  }
}

// The buffer is the one of the layer whose backward pass has just been issued.
void ActivationOffload::fetch(const Pass& pass, std::int64_t layer) {
  const Key key{pass.chunk, pass.micro_batch, layer};
  std::vector<OperationId> after = copies_.builder.frontier();
  const auto stored = stored_.find(key);
  after.push_back(stored->second);
  stored_.erase(stored);
  fetched_.emplace(
      key, copies_.launch(HostWay::kFromHost, Category::kOffload, "activations from host", bytes(pass, layer), after));
}

}  // namespace trainyard
