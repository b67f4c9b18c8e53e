#pragma once
// Which matrix multiplications the suite measures: those of the model catalogue under tensor parallelism, and a sweep.
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/work.hpp"

namespace trainyard {

// C[m,n] = A[m,k] B[k,n] of one linear layer, all tensors row-major in memory.
struct GemmCase {
  Gemm work;
  Pass pass = Pass::kForward;
  std::string origin;  // "llama-3-8b tp 4 mlp_up", "sweep"
};

// Which operands the BLAS, which counts columns first, has to transpose: forward y = x W^T is "TN", the input's
// gradient dy W is "NN", the weight's gradient dy^T x is "NT".
std::string_view blas_layout(Pass pass);

// The distinct GEMMs of one layer and of the head of every catalogue model for tp 1, 2, 4 and 8, one sequence of the
// model's own length; of equal ones the first origin is kept.
std::vector<GemmCase> catalogue_gemms();

// Powers of two from launch-bound to large in m, n and k, some of them 8 short of a tile multiple; three passes each.
std::vector<GemmCase> sweep_gemms();

}  // namespace trainyard
