#pragma once
// What optimizers keep of every parameter and how often their kernels read and write it: one row each.
#include <array>
#include <cstddef>
#include <cstdint>

#include "sim/base/name_table.hpp"

namespace trainyard {

enum class Optimizer {
  kAdam,
  kSgd,  // with momentum, as it is used; kPlainSgd is without
  kPlainSgd,
  kMomentum,
  kNesterov,
  kAdamw,
  kLamb,
  kLars,
  kAdafactor,
  kLion,
  kAdam8bit,
  kMuon,
  kShampoo
};
inline constexpr std::size_t kOptimizers = 13;
inline constexpr NameTable<Optimizer, kOptimizers> kOptimizerNames{{{{"adam", Optimizer::kAdam},
                                                                     {"sgd", Optimizer::kSgd},
                                                                     {"plain-sgd", Optimizer::kPlainSgd},
                                                                     {"momentum", Optimizer::kMomentum},
                                                                     {"nesterov", Optimizer::kNesterov},
                                                                     {"adamw", Optimizer::kAdamw},
                                                                     {"lamb", Optimizer::kLamb},
                                                                     {"lars", Optimizer::kLars},
                                                                     {"adafactor", Optimizer::kAdafactor},
                                                                     {"lion", Optimizer::kLion},
                                                                     {"adam-8bit", Optimizer::kAdam8bit},
                                                                     {"muon", Optimizer::kMuon},
                                                                     {"shampoo", Optimizer::kShampoo}}}};

// A kernel over all parameters of the rank: how many times it moves a gradient, a parameter and all that is kept of it,
// a read and a write counted each. An update that a later kernel applies takes the gradient's place and format.
struct OptimizerPass {
  double gradients = 0.0;
  double parameters = 0.0;
  double states = 0.0;
};

// What is done with the update of a whole matrix between hidden layers (WeightMatrix) before it is applied: nothing;
// the nearest orthogonal matrix by Newton-Schulz iterations; a product with roots of two preconditioners, one for its
// rows and one for its columns.
enum class MatrixUpdate { kNone, kOrthogonal, kPreconditioned };

// What an optimizer keeps beside the parameter. Its cost is that of its traffic, a few FLOPs for ten bytes, and of what
// it does with whole matrices.
struct OptimizerTraits {
  double moments = 0.0;  // values per parameter, in the optimizer's format (optimizer_dtype)
  // Values for a row and a column of a matrix in the place of one for each of its entries; likewise.
  double factored_moments = 0.0;
  double bytes = 0.0;                   // per parameter, in a format of its own
  std::array<OptimizerPass, 3> passes;  // those that move nothing are none
  MatrixUpdate matrices = MatrixUpdate::kNone;
  Optimizer elsewhere = Optimizer::kAdam;  // what updates all that is no such matrix, where these are special

  // Values that an update reads and writes of a parameter where all have one format, preconditioners left out.
  double values_moved() const {
    double out = 0.0;
    for (const OptimizerPass& pass : passes) {
      out += pass.gradients + pass.parameters + pass.states * moments;
    }
    return out;
  }
  bool has_format() const { return moments + factored_moments > 0.0; }  // whether optimizer_dtype says anything
};

// Not modelled: all-reduces of the norms that lamb and lars take of tensors which ranks share out, and of adafactor's
// sums: a few values for each tensor.
const OptimizerTraits& optimizer_traits(Optimizer optimizer);

// Shampoo preconditions blocks of this many rows and columns. Source: facebookresearch/optimizers, distributed_shampoo
// (max_preconditioner_dim, default 1024).
inline constexpr std::int64_t kPreconditionerBlock = 1024;
// Values of the preconditioners of a matrix, and of their roots: two squares each for the rows and for the columns of
// every block.
double preconditioner_values(std::int64_t rows, std::int64_t columns);
// How many blocks a side of a matrix is cut into, and how wide these are.
std::int64_t preconditioner_blocks(std::int64_t side);

}  // namespace trainyard
