#pragma once
// Adds up what a device holds while passes begin and end.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/memory/holdings.hpp"

namespace trainyard {

// What is under way on a device at one moment, as numbers of passes by chunk.
struct PassesUnderWay {
  std::vector<std::int32_t> held;
  std::vector<std::int32_t> backward;  // whose backward runs
  std::vector<std::int32_t> halfway;   // that wait for the gradients of their weights
  std::int32_t most_held = 0;          // so far, of all chunks together
  bool has_gradients = false;          // autograd's, before they are accumulated
  bool follows = false;                // a forward has begun after a backward had ended

  bool operator==(const PassesUnderWay&) const = default;
};

MemoryUses uses_at(const StageHoldings& holdings, const PassesUnderWay& now);
// The same of the host's memory.
MemoryUses host_uses_at(const StageHoldings& holdings, const PassesUnderWay& now);

// Passes begin and end in the order of a device's stream; a backward pass may come in parts, and the last one ends it.
// Every step hands the moment that may be the fullest so far to `note`.
class PassCounter {
 public:
  explicit PassCounter(std::size_t chunks) {
    for (auto* counts : {&now_.held, &now_.backward, &now_.halfway}) {
      counts->resize(chunks);
    }
  }
  const PassesUnderWay& now() const { return now_; }

  template <class Note>
  void begin_forward(std::size_t chunk, const Note& note) {
    ++now_.held[chunk];
    ++all_held_;
    now_.follows = now_.follows || has_finished_;
    now_.most_held = std::max(now_.most_held, all_held_);
    note(now_);
  }
  template <class Note>
  void begin_backward(std::size_t chunk, const Note& note) {
    ++now_.backward[chunk];
    note(now_);
  }
  template <class Note>
  void end_backward(std::size_t chunk, const Note& note) {
    give_back(chunk);
    now_.has_gradients = true;
    has_finished_ = true;
    note(now_);
  }
  // The two halves of a split one: the first keeps what the second needs.
  template <class Note>
  void end_input_gradient(std::size_t chunk, const Note& note) {
    give_back(chunk);
    ++now_.halfway[chunk];
    note(now_);
  }
  template <class Note>
  void end_weight_gradient(std::size_t chunk, const Note& note) {
    TY_ASSERT(now_.halfway[chunk] > 0);
    now_.has_gradients = true;
    note(now_);
    --now_.halfway[chunk];
  }
  // Autograd's gradients are gone: accumulated into their buffer.
  void release_gradients() { now_.has_gradients = false; }

 private:
  void give_back(std::size_t chunk) {
    TY_ASSERT(now_.held[chunk] > 0 && now_.backward[chunk] > 0);
    --now_.held[chunk];
    --all_held_;
    --now_.backward[chunk];
  }

  PassesUnderWay now_;
  std::int32_t all_held_ = 0;
  bool has_finished_ = false;  // a backward pass has ended
};

// The fullest moment of a device of a stage.
struct StageMemory {
  MemoryUses uses;
  Bytes total{};
  Bytes capacity{};           // of the smallest device of the stage
  std::optional<Seconds> at;  // since the step began, where a timeline says so
  MemoryUses host;            // at most, of one rank in its host's memory
};

// The fullest moment of a device, given what its passes hold.
class MemoryMeter {
  auto noting() {
    return [this](const PassesUnderWay& now) { note(now); };
  }

 public:
  explicit MemoryMeter(const StageHoldings& holdings) : holdings_(holdings), passes_(holdings.chunks.size()) {
    note(passes_.now());
  }

  void begin_forward(std::size_t chunk) { passes_.begin_forward(chunk, noting()); }
  void begin_backward(std::size_t chunk) { passes_.begin_backward(chunk, noting()); }
  void end_backward(std::size_t chunk) { passes_.end_backward(chunk, noting()); }
  void end_input_gradient(std::size_t chunk) { passes_.end_input_gradient(chunk, noting()); }
  void end_weight_gradient(std::size_t chunk) { passes_.end_weight_gradient(chunk, noting()); }
  void release_gradients() { passes_.release_gradients(); }
  // The optimizer's step, after all passes.
  void begin_update() {
    is_updating_ = true;
    if (holdings_.update) {
      note(*holdings_.update);
    }
  }
  void end_update() { is_updating_ = false; }

  MemoryUses now() const {
    return is_updating_ && holdings_.update ? *holdings_.update : uses_at(holdings_, passes_.now());
  }
  // The fullest moment so far.
  const StageMemory& peak() const { return peak_; }

 private:
  void note(const PassesUnderWay& now);
  void note(const MemoryUses& uses);

  const StageHoldings& holdings_;
  PassCounter passes_;
  StageMemory peak_;
  bool is_updating_ = false;
};

}  // namespace trainyard
