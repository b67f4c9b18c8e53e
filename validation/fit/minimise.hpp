#pragma once
// Deterministic minimisation of a loss over bounded parameters (NLopt's Sbplx).
#include <functional>
#include <span>

namespace trainyard {

struct Knob {
  double smallest = 0.0;
  double largest = 0.0;
  double start = 0.0;
  std::function<void(double)> set;
};

// Turns the knobs until the loss is (locally) smallest, from `starts` fixed starting points, and leaves them there.
// Returns the loss reached. The same knobs and loss give the same bits.
double minimise(std::span<const Knob> knobs, const std::function<double()>& loss, int starts, int evaluations);

}  // namespace trainyard
