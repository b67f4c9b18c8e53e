#include "models/blocks/mlp.hpp"

#include <array>

#include "models/blocks/blocks.hpp"
#include "models/blocks/linear.hpp"
#include "models/blocks/residual.hpp"

namespace trainyard {
namespace {

bool is_fused(const ShardContext& context) {
  return context.options().bias_gelu == Fusion::kOn;
}

// GeLU by tanh as elementary operators: cube, scale, add, scale, tanh, add, half, product; their gradients and the sums
// of the three paths to the input.
void composed_gelu(OperatorList& list, Pass pass, std::int64_t elements) {
  constexpr std::array<double, 8> kForward = {2, 2, 3, 2, 2, 2, 2, 3};  // operands read and written
  constexpr std::array<double, 11> kBackward = {3, 3, 2, 3, 2, 2, 2, 2, 3, 3, 3};
  const auto list_all = [&](const auto& operators) {
    for (const double operands : operators) {
      list.elementwise(pass == Pass::kForward ? "gelu" : "gelu_backward", pass, elements, operands * kSingle);
    }
  };
  pass == Pass::kForward ? list_all(kForward) : list_all(kBackward);
  if (list.element() < kSingle) {
    list.elementwise(pass == Pass::kForward ? "gelu" : "gelu_backward", pass, elements,
                     2.0 * (list.element() + kSingle));
  }
}
bool is_composed(const ShardContext& context) {
  return context.options().composed_pointwise == Presence::kPresent && context.model().activation == Activation::kGelu;
}

void activation_forward(OperatorList& list, std::int64_t elements) {
  const Bytes e = list.element();
  const Activation activation = list.model().activation;
  if (is_composed(list)) {
    composed_gelu(list, Pass::kForward, elements);
  } else if (!list.model().gated()) {
    list.elementwise(activation == Activation::kRelu ? "relu" : "gelu", Pass::kForward, elements, 2.0 * e);
  } else if (is_fused(list)) {
    list.elementwise(activation == Activation::kGeGlu ? "geglu" : "swiglu", Pass::kForward, elements, 3.0 * e);
  } else {
    list.elementwise(activation == Activation::kGeGlu ? "gelu" : "silu", Pass::kForward, elements, 2.0 * e);
    list.elementwise("gate_multiply", Pass::kForward, elements, 3.0 * e);
  }
}

void activation_backward(OperatorList& list, std::int64_t elements) {
  const Bytes e = list.element();
  const Activation activation = list.model().activation;
  if (is_composed(list)) {
    composed_gelu(list, Pass::kDgrad, elements);
  } else if (!list.model().gated()) {
    list.elementwise(activation == Activation::kRelu ? "relu_backward" : "gelu_backward", Pass::kDgrad, elements,
                     3.0 * e);
  } else if (is_fused(list)) {
    // Reads gate, up, gradient; writes two.
    list.elementwise(activation == Activation::kGeGlu ? "geglu_backward" : "swiglu_backward", Pass::kDgrad, elements,
                     5.0 * e);
  } else {
    list.elementwise("gate_multiply_backward", Pass::kDgrad, elements, 3.0 * e);
    list.elementwise("gate_multiply_backward", Pass::kDgrad, elements, 3.0 * e);
    list.elementwise(activation == Activation::kGeGlu ? "gelu_backward" : "silu_backward", Pass::kDgrad, elements,
                     3.0 * e);
    if (list.options().merged_projections == Fusion::kOn) {
      list.elementwise("gate_up_gradient_concat", Pass::kDgrad, elements, 4.0 * e);
    }
  }
}

// Autograd reduces the gradient of the bias that the fused kernel added.
void bias_backward(OperatorList& list, const ActivationFunction& function) {
  const std::int64_t inputs = list.model().gated() ? 2 : 1;
  if (is_fused(list) && function.bias == Presence::kPresent) {
    list.elementwise("bias_gradient", Pass::kWgrad, inputs * function.rows * function.width, list.element());
    list.accumulate_gradient(inputs * function.width);
  }
}

Linear up(const ShardContext& context, std::int64_t width) {
  const bool merged = context.options().merged_projections == Fusion::kOn;
  return {.name = "mlp_up",
          .in = context.model().hidden,
          .outputs = !context.model().gated() ? std::vector{width}
                     : merged                 ? std::vector{2 * width}
                                              : std::vector{width, width},
          .bias = context.model().linear_bias,
          .bias_added = is_fused(context) ? BiasAdded::kByNext : BiasAdded::kByLinear,
          .module = Module::kMlpUp,
          .adapter_kept = "mlp_up_adapter"};
}

Linear down(const ShardContext& context, std::int64_t width) {
  return {.name = "mlp_down",
          .in = width,
          .outputs = {context.model().hidden},
          .bias = context.model().linear_bias,
          .bias_added = bias_added_after_row(context),
          .module = Module::kMlpDown,
          .adapter_kept = "mlp_down_adapter"};
}

}  // namespace

Tensor activation(Description& description, const ActivationFunction& function, std::string_view output) {
  const std::int64_t elements = function.rows * function.width;
  description.step({.forward = [=](OperatorList& list) { activation_forward(list, elements); },
                    .backward =
                        [=](OperatorList& list) {
                          activation_backward(list, elements);
                          bias_backward(list, function);
                        }});
  const bool has_gate = description.model().gated() && !is_fused(description);
  description.keep(function.gate, elements, has_gate ? description.element() : Bytes{});
  return description.written(output, elements, operand_element(description));
}

void mlp(Description& description, const Tensor& input, std::int64_t width, std::optional<RecomputeModule> repeated) {
  const std::int64_t rows = description.shard().tokens;
  const ActivationFunction function{.rows = rows, .width = width, .bias = description.model().linear_bias};
  linear(description, up(description, width), Cut::kColumns, rows, input);
  description.keep(function.input, (description.model().gated() ? 2 : 1) * rows * width, description.element());
  std::optional<Description::Scope> scope;
  if (repeated) {
    scope.emplace(description, *repeated);
  }
  const Tensor activated = activation(description, function, "mlp_down_input");
  scope.reset();
  linear(description, down(description, width), Cut::kRows, rows, activated);
}

Presence mlp(Description& description, const Tensor& input) {
  const auto scope = description.repeated_by(RecomputeModule::kMlp);
  mlp(description, input, description.shard().ffn, RecomputeModule::kActivation);
  return description.model().linear_bias;
}

}  // namespace trainyard
