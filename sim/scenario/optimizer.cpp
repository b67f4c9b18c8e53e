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
}};

}  // namespace

const OptimizerTraits& optimizer_traits(Optimizer optimizer) {
  return kOptimizerTraits[static_cast<std::size_t>(optimizer)];
}

}  // namespace trainyard
