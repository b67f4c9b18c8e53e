#pragma once
// What a device's memory is used for.
#include <array>

#include "sim/base/name_table.hpp"
#include "sim/base/quantity.hpp"

namespace trainyard {

enum class MemoryUse {
  kParameters,
  kGradients,
  kOptimizer,
  kGatheredWeights,  // parameters that sharded data parallelism has gathered
  kActivations,
  kLogits,     // of the head and the loss, from their forward to their backward
  kRecompute,  // what recomputation rebuilds while a backward pass runs
  kCommunication,
  kInput,  // batches that were copied, or made, ahead of their use
  kFragmentation,
  kContext  // CUDA context, libraries, communicators
};
inline constexpr std::size_t kMemoryUses = 11;
inline constexpr NameTable<MemoryUse, kMemoryUses> kMemoryUseNames{
    {{{"parameters", MemoryUse::kParameters},
      {"gradients", MemoryUse::kGradients},
      {"optimizer", MemoryUse::kOptimizer},
      {"gathered weights", MemoryUse::kGatheredWeights},
      {"activations", MemoryUse::kActivations},
      {"logits", MemoryUse::kLogits},
      {"recomputed", MemoryUse::kRecompute},
      {"communication buffers", MemoryUse::kCommunication},
      {"input batches", MemoryUse::kInput},
      {"allocator fragmentation", MemoryUse::kFragmentation},
      {"context and communicators", MemoryUse::kContext}}}};

// Bytes of every use.
class MemoryUses {
 public:
  Bytes& operator[](MemoryUse use) { return bytes_[static_cast<std::size_t>(use)]; }
  Bytes operator[](MemoryUse use) const { return bytes_[static_cast<std::size_t>(use)]; }
  Bytes total() const {
    Bytes sum{};
    for (const Bytes bytes : bytes_) {
      sum += bytes;
    }
    return sum;
  }

 private:
  std::array<Bytes, kMemoryUses> bytes_{};
};

}  // namespace trainyard
