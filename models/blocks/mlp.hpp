#pragma once
// A dense MLP's parts, which experts have too.
#include <cstdint>
#include <optional>

#include "models/blocks/description.hpp"

namespace trainyard {

// An activation function on `rows` of `width`, gated where the model's is.
struct ActivationFunction {
  std::int64_t rows = 0;
  std::int64_t width = 0;
  Presence bias = Presence::kAbsent;  // of the linear before, where a fused kernel adds it
  // Under which names its input and the gate's output are kept.
  std::string_view input = "activation_input";
  std::string_view gate = "gate_output";
};
// What it writes is the input of the linear after it, kept under `output`.
Tensor activation(Description& description, const ActivationFunction& function, std::string_view output);

// An MLP of `width` on this rank, with its collectives; `repeated`: the module that repeats its activation alone.
void mlp(Description& description, const Tensor& input, std::int64_t width, std::optional<RecomputeModule> repeated);

}  // namespace trainyard
