#pragma once
// Adds up what a device holds while passes begin and end.
#include <cstdint>
#include <vector>

#include "sim/layout/memory.hpp"

namespace trainyard {

class MemoryMeter {
 public:
  explicit MemoryMeter(const StageHoldings& holdings);

  // In the order of a device's stream. A backward pass may come in parts; the last one ends it.
  void begin_forward(std::size_t chunk);
  void begin_backward(std::size_t chunk);
  void end_backward(std::size_t chunk);
  // The two halves of a split one: the first keeps what the second needs.
  void end_input_gradient(std::size_t chunk);
  void end_weight_gradient(std::size_t chunk);
  // Autograd's gradients are gone: accumulated into their buffer.
  void release_gradients();

  MemoryUses now() const;
  // The fullest moment so far.
  const StageMemory& peak() const { return peak_; }

 private:
  void note_peak();

  const StageHoldings& holdings_;
  std::vector<std::int32_t> held_;      // passes of each chunk
  std::vector<std::int32_t> backward_;  // of each chunk: backward passes that run
  std::vector<std::int32_t> halfway_;   // of each chunk: passes that wait for the gradients of their weights
  std::int32_t most_held_ = 0;
  bool has_gradients_ = false;
  bool has_finished_ = false;  // a backward pass has ended
  bool follows_ = false;       // a forward began after one had
  StageMemory peak_;
};

}  // namespace trainyard
