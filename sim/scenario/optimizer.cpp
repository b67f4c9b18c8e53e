#include "sim/scenario/optimizer.hpp"

namespace trainyard {
namespace {

// Moments of one byte, quantised in blocks of 256 that share a scale of fp32. Source: bitsandbytes
// optim/optimizer.py and functional.py (block-wise optimizers, blocksize 256); arXiv 2110.02861.
constexpr double kBlockwiseByte = 1.0 + 4.0 / 256.0;

// In the order of Optimizer. Sources: torch.optim.SGD, NVIDIA apex csrc/multi_tensor_adam.cu and
// multi_tensor_sgd_kernel.cu: everything read once, all but the gradient written once.
constexpr std::array<OptimizerTraits, kOptimizers> kOptimizerTraits = {{
    {.moments = 2.0, .passes = {{{.gradients = 1.0, .parameters = 2.0, .states = 2.0}}}},
    {.moments = 1.0, .passes = {{{.gradients = 1.0, .parameters = 2.0, .states = 2.0}}}},
    {.passes = {{{.gradients = 1.0, .parameters = 2.0}}}},
    {.moments = 1.0, .passes = {{{.gradients = 1.0, .parameters = 2.0, .states = 2.0}}}},
    {.moments = 1.0, .passes = {{{.gradients = 1.0, .parameters = 2.0, .states = 2.0}}}},
    {.moments = 2.0, .passes = {{{.gradients = 1.0, .parameters = 2.0, .states = 2.0}}}},
    // The update in the gradient's place; norms of parameters and updates; the update applied. Source: apex
    // csrc/multi_tensor_lamb.cu; arXiv 1904.00962.
    {.moments = 2.0,
     .passes = {{{.gradients = 2.0, .parameters = 1.0, .states = 2.0},
                 {.gradients = 1.0, .parameters = 1.0},
                 {.gradients = 1.0, .parameters = 2.0}}}},
    // Norms of parameters and gradients, then momentum. Source: arXiv 1708.03888.
    {.moments = 1.0,
     .passes = {{{.gradients = 1.0, .parameters = 1.0}, {.gradients = 1.0, .parameters = 2.0, .states = 2.0}}}},
    // Sums of squares by row and column; the update in the gradient's place, with its norm; applied by the parameter's
    // norm, which is read for it. Source: arXiv 1804.04235, algorithm 4, without a first moment.
    {.factored_moments = 1.0,
     .passes = {{{.gradients = 1.0, .states = 2.0},
                 {.gradients = 2.0, .parameters = 1.0, .states = 1.0},
                 {.gradients = 1.0, .parameters = 2.0}}}},
    // Source: arXiv 2302.06675, algorithm 2.
    {.moments = 1.0, .passes = {{{.gradients = 1.0, .parameters = 2.0, .states = 2.0}}}},
    {.bytes = 2.0 * kBlockwiseByte, .passes = {{{.gradients = 1.0, .parameters = 2.0, .states = 2.0}}}},
    // The momentum and, of it and the gradient, the update in the gradient's place; applied when it is orthogonal.
    // Source: torch/optim/_muon.py; arXiv 2502.16982, section 2.1: AdamW for embeddings, the output matrix and vectors.
    {.moments = 1.0,
     .passes = {{{.gradients = 2.0, .states = 2.0}, {.gradients = 1.0, .parameters = 2.0}}},
     .matrices = MatrixUpdate::kOrthogonal,
     .elsewhere = Optimizer::kAdamw},
    // A second moment for the length of the update (grafted from Adam), the update in the gradient's place, its
    // momentum; applied. Source: arXiv 2309.06497, algorithm 1 and section 3.
    {.moments = 2.0,
     .passes = {{{.gradients = 1.0, .states = 1.0},
                 {.gradients = 2.0, .states = 1.0},
                 {.gradients = 1.0, .parameters = 2.0}}},
     .matrices = MatrixUpdate::kPreconditioned,
     .elsewhere = Optimizer::kAdamw},
}};

}  // namespace

const OptimizerTraits& optimizer_traits(Optimizer optimizer) {
  return kOptimizerTraits[static_cast<std::size_t>(optimizer)];
}

std::int64_t preconditioner_blocks(std::int64_t side) {
  return (side + kPreconditionerBlock - 1) / kPreconditionerBlock;
}

double preconditioner_values(std::int64_t rows, std::int64_t columns) {
  const auto down = static_cast<double>(preconditioner_blocks(rows));
  const auto across = static_cast<double>(preconditioner_blocks(columns));
  const double height = static_cast<double>(rows) / down;
  const double width = static_cast<double>(columns) / across;
  return 2.0 * down * across * (height * height + width * width);
}

}  // namespace trainyard
