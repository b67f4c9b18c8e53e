#pragma once
// Activations that wait on the host: after a layer's forward pass a copy leaves the device, before its backward pass
// one comes back. kCopyBuffers layers are on their way at once; a layer whose buffer is not free waits. Source:
// Transformer Engine, pytorch/cpu_offload.py.
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "sim/program/host_copies.hpp"

namespace trainyard {

class ActivationOffload {
 public:
  ActivationOffload(const HostCopies& copies, const Layout& layout);

  // Of a micro-batch in a chunk of the stage, layer by layer.
  struct Pass {
    std::int32_t chunk = 0;
    std::int32_t micro_batch = 0;
  };
  void before_forward(const Pass& pass, std::int64_t layer);
  void after_forward(const Pass& pass, std::int64_t layer);
  void begin_backward(const Pass& pass);
  void before_backward(const Pass& pass, std::int64_t layer);

 private:
  using Key = std::tuple<std::int32_t, std::int32_t, std::int64_t>;
  Bytes bytes(const Pass& pass, std::int64_t layer) const;
  // Brings back the activations of the last layer below `layer` that has any on the host.
  void fetch_below(const Pass& pass, std::int64_t layer);
  void fetch(const Pass& pass, std::int64_t layer);

  HostCopies copies_;
  std::vector<std::vector<Bytes>> layers_;  // by chunk, of its offloaded layers
  std::deque<OperationId> leaving_;         // copies whose buffers are not known to be free
  std::map<Key, OperationId> stored_;
  std::map<Key, OperationId> fetched_;
};

}  // namespace trainyard
