// Kernels of LayerNorm and RMSNorm.
#include "models/operator_list.hpp"

namespace trainyard {
namespace {

constexpr Bytes kSingle{4.0};  // an fp32 element: eager RMSNorm computes in fp32

}  // namespace

void OperatorList::norm_forward(std::string_view name, std::int64_t rows, std::int64_t width) {
  if (model_.normalization == Normalization::kRmsNorm && options_.norm == Fusion::kOff) {
    rms_norm_forward_eager(name, rows, width);
    return;
  }
  // PyTorch's own LayerNorm is one kernel as well.
  elementwise(name, Pass::kForward, rows * width, 2.0 * residual_element());
}

void OperatorList::norm_backward(std::string_view name, std::int64_t rows, std::int64_t width) {
  const std::int64_t elements = rows * width;
  const bool rms = model_.normalization == Normalization::kRmsNorm;
  if (rms && options_.norm == Fusion::kOff) {
    rms_norm_backward_eager(name, rows, width);
  } else if (options_.norm == Fusion::kOff) {
    // One kernel for the input's gradient and one for the parameters', each reading the gradient and the input.
    // Source: PyTorch, aten/src/ATen/native/cuda/layer_norm_kernel.cu.
    elementwise(name, Pass::kDgrad, elements, 3.0 * residual_element());
    elementwise(name, Pass::kDgrad, elements, 2.0 * residual_element());
  } else {
    // One pass that also leaves partial sums of the parameters' gradients, and a small kernel that adds those up.
    // Source: Apex contrib/csrc/layer_norm (persistent LayerNorm), Transformer Engine normalization kernels.
    elementwise(name, Pass::kDgrad, elements, 3.0 * residual_element());
    small(name, Pass::kWgrad, width, 1);
  }
  accumulate_gradient(width);
  if (!rms && model_.norm_bias == Presence::kPresent) {
    accumulate_gradient(width);
  }
}

// Statement by statement as PyTorch runs weight * (x.float() * rsqrt(mean(x.float()^2) + eps)).to(x.dtype).
void OperatorList::rms_norm_forward_eager(std::string_view name, std::int64_t rows, std::int64_t width) {
  const std::int64_t elements = rows * width;
  elementwise(name, Pass::kForward, elements, element() + kSingle);  // to fp32
  elementwise(name, Pass::kForward, elements, 2.0 * kSingle);        // square
  elementwise(name, Pass::kForward, elements, kSingle);              // mean
  small(name, Pass::kForward, rows, 2);                              // + epsilon, rsqrt
  elementwise(name, Pass::kForward, elements, 2.0 * kSingle);        // scale by the root
  elementwise(name, Pass::kForward, elements, kSingle + element());  // back to the operand format
  elementwise(name, Pass::kForward, elements, 2.0 * element());      // weight
}

// The autograd nodes of the statements above, last first.
void OperatorList::rms_norm_backward_eager(std::string_view name, std::int64_t rows, std::int64_t width) {
  const std::int64_t elements = rows * width;
  elementwise(name, Pass::kDgrad, elements, 2.0 * element());      // gradient x weight
  elementwise(name, Pass::kWgrad, elements, 3.0 * element());      // gradient x normalised input
  elementwise(name, Pass::kWgrad, elements, element());            // summed over tokens
  elementwise(name, Pass::kDgrad, elements, element() + kSingle);  // to fp32
  elementwise(name, Pass::kDgrad, elements, 2.0 * kSingle);        // x root
  elementwise(name, Pass::kDgrad, elements, 3.0 * kSingle);        // x input, the root's gradient
  elementwise(name, Pass::kDgrad, elements, kSingle);              // summed over channels
  small(name, Pass::kDgrad, rows, 3);                              // rsqrt: power, two products
  elementwise(name, Pass::kDgrad, elements, kSingle);              // mean: spread over the channels
  elementwise(name, Pass::kDgrad, elements, 2.0 * kSingle);        // square: 2 x input
  elementwise(name, Pass::kDgrad, elements, 3.0 * kSingle);        // times gradient
  elementwise(name, Pass::kDgrad, elements, 3.0 * kSingle);        // sum of both paths
  elementwise(name, Pass::kDgrad, elements, kSingle + element());  // back to the operand format
}

}  // namespace trainyard
