#include "models/blocks/norm.hpp"

#include <array>

namespace trainyard {
namespace {

// Statement by statement as PyTorch runs weight * (x.float() * rsqrt(mean(x.float()^2) + eps)).to(x.dtype).
void eager_rms_forward(OperatorList& list, const Norm& norm) {
  const std::int64_t elements = norm.rows * norm.width;
  const Bytes e = list.element();
  const auto kernel = [&](Bytes bytes) { list.elementwise(norm.name, Pass::kForward, elements, bytes); };
  kernel(e + kSingle);                                  // to fp32
  kernel(2.0 * kSingle);                                // square
  kernel(kSingle);                                      // mean
  list.small(norm.name, Pass::kForward, norm.rows, 2);  // + epsilon, rsqrt
  kernel(2.0 * kSingle);                                // scale by the root
  kernel(kSingle + e);                                  // back to the operand format
  kernel(2.0 * e);                                      // weight
}

// The autograd nodes of the statements above, last first.
void eager_rms_backward(OperatorList& list, const Norm& norm) {
  const std::int64_t elements = norm.rows * norm.width;
  const Bytes e = list.element();
  const auto kernel = [&](Pass pass, Bytes bytes) { list.elementwise(norm.name, pass, elements, bytes); };
  kernel(Pass::kDgrad, 2.0 * e);                      // gradient x weight
  kernel(Pass::kWgrad, 3.0 * e);                      // gradient x normalised input
  kernel(Pass::kWgrad, e);                            // summed over tokens
  kernel(Pass::kDgrad, e + kSingle);                  // to fp32
  kernel(Pass::kDgrad, 2.0 * kSingle);                // x root
  kernel(Pass::kDgrad, 3.0 * kSingle);                // x input, the root's gradient
  kernel(Pass::kDgrad, kSingle);                      // summed over channels
  list.small(norm.name, Pass::kDgrad, norm.rows, 3);  // rsqrt: power, two products
  kernel(Pass::kDgrad, kSingle);                      // mean: spread over the channels
  kernel(Pass::kDgrad, 2.0 * kSingle);                // square: 2 x input
  kernel(Pass::kDgrad, 3.0 * kSingle);                // times gradient
  kernel(Pass::kDgrad, 3.0 * kSingle);                // sum of both paths
  kernel(Pass::kDgrad, kSingle + e);                  // back to the operand format
}

// Layer norm as moments and a batch_normalization of elementary operators: mean, squared difference, its mean, the
// input's product with the scaled root, the shift's sum; gradients with the sums over tokens and channels.
bool is_composed(const OperatorList& list) {
  return list.options().composed_pointwise == Presence::kPresent &&
         list.model().normalization == Normalization::kLayerNorm;
}
void composed_norm(OperatorList& list, const Norm& norm, Pass pass) {
  constexpr std::array<double, 6> kForward = {1, 2, 1, 2, 2, 2};  // operands read and written
  constexpr std::array<double, 12> kBackward = {1, 2, 3, 1, 2, 3, 1, 2, 3, 2, 3, 3};
  const auto list_all = [&](const auto& operators) {
    for (const double operands : operators) {
      list.elementwise(norm.name, pass, norm.rows * norm.width, operands * kSingle);
    }
  };
  pass == Pass::kForward ? list_all(kForward) : list_all(kBackward);
  if (list.element() < kSingle) {
    list.elementwise(norm.name, pass, norm.rows * norm.width, 2.0 * (list.element() + kSingle));
  }
}

void forward(OperatorList& list, const Norm& norm) {
  if (is_composed(list)) {
    composed_norm(list, norm, Pass::kForward);
  } else if (list.eager_rms_norm()) {
    eager_rms_forward(list, norm);
  } else {
    // PyTorch's own LayerNorm is one kernel as well.
    list.elementwise(norm.name, Pass::kForward, norm.rows * norm.width, 2.0 * list.residual_element());
  }
}

// Vectors of weights: scale, and LayerNorm's shift.
std::int64_t vectors(const ModelSpec& model) {
  return model.normalization == Normalization::kLayerNorm && model.norm_bias == Presence::kPresent ? 2 : 1;
}

void backward(OperatorList& list, const Norm& norm) {
  const std::int64_t elements = norm.rows * norm.width;
  const Bytes e = list.residual_element();
  if (is_composed(list)) {
    composed_norm(list, norm, Pass::kDgrad);
  } else if (list.eager_rms_norm()) {
    eager_rms_backward(list, norm);
  } else if (list.options().norm == Fusion::kOff) {
    // One kernel for the input's gradient and one for the parameters', each reading the gradient and the input.
    // Source: PyTorch, aten/src/ATen/native/cuda/layer_norm_kernel.cu.
    list.elementwise(norm.name, Pass::kDgrad, elements, 3.0 * e);
    list.elementwise(norm.name, Pass::kDgrad, elements, 2.0 * e);
  } else {
    // One pass that also leaves partial sums of the parameters' gradients, and a small kernel that adds those up.
    // Source: Apex contrib/csrc/layer_norm (persistent LayerNorm), Transformer Engine normalization kernels.
    list.elementwise(norm.name, Pass::kDgrad, elements, 3.0 * e);
    list.small(norm.name, Pass::kWgrad, norm.width, 1);
  }
  for (std::int64_t i = 0; i < vectors(list.model()); ++i) {
    list.accumulate_gradient(norm.width);
  }
}

}  // namespace

void norm_kernels(Description& description, const Norm& norm, const Tensor& input) {
  description.step({.forward = [norm](OperatorList& list) { forward(list, norm); },
                    .backward = [norm](OperatorList& list) { backward(list, norm); }});
  description.keep(input);
}

void norm_weights(Description& description, const Norm& norm, std::int64_t count, CountedWith counted) {
  const std::int64_t tensors = count * vectors(description.model());
  description.weight({.elements = tensors * norm.width, .across = norm.across, .tensors = tensors, .counted = counted});
}

void norm(Description& description, const Norm& norm, const Tensor& input) {
  norm_kernels(description, norm, input);
  norm_weights(description, norm);
}

Norm of_hidden(const ShardContext& context, std::string_view name) {
  return {.name = name, .rows = context.shard().token_shard, .width = context.model().hidden};
}

Tensor hidden_norm_input(const Description& description, std::string_view kept) {
  // Eager RMSNorm keeps its input in fp32 and the normalised input that the weight multiplies.
  return {.name = kept,
          .elements = description.hidden_shard(),
          .element = description.eager_rms_norm() ? kSingle + description.element() : description.residual_element()};
}

void hidden_norm(Description& description, std::string_view name, std::string_view kept) {
  norm(description, of_hidden(description, name), hidden_norm_input(description, kept));
}

}  // namespace trainyard
