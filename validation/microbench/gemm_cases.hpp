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

// How a GEMM's numbers are stored and summed.
struct GemmFormat {
  Precision precision = Precision::kBf16;
  bool accumulates = false;        // the result is fp32 and added to: a weight gradient into the main gradient
  bool fast_accumulation = false;  // fp8 alone: partial sums stay in the tensor cores' narrow accumulators
};

struct OperandFormats {
  std::string_view left;    // A
  std::string_view right;   // B
  std::string_view result;  // C
};
// fp8 keeps activations and weights as e4m3, gradients as e5m2. Source: Transformer Engine, recipe Format.HYBRID.
OperandFormats operand_formats(const GemmFormat& format, Pass pass);

// 8-bit operands lie along k always; the others as autograd leaves them. Source: cuBLAS documentation, cublasLtMatmul,
// on compute capability 8.9 and 9.0.
std::string_view layout_of(const GemmFormat& format, Pass pass);

// Whether cuBLASLt takes the shape: 16-byte rows, for fp8 every extent a multiple of 16. Source: as above.
bool is_legal(const GemmCase& one, const GemmFormat& format);

// Every format that the suite measures.
std::vector<GemmFormat> checked_formats();

// A GEMM in a format that is measured.
struct MeasuredGemm {
  GemmCase gemm;
  GemmFormat format;
};

// Ten GEMMs of layers of Llama-3-8B and of Llama-3-70B at tp 8, 8,192 tokens, in bf16 and fp8 without and with fast
// accumulation: what a run of minutes measures, most valuable first. Throws UserError where the catalogue lacks them.
std::vector<MeasuredGemm> quick_gemms();

// Everything else, in classes of falling value: the catalogue in bf16, in fp8, the sweep in both, then the formats of
// older recipes. Illegal shapes and what differs in nothing measured are left out. `precisions` empty: all.
std::vector<std::vector<MeasuredGemm>> gemm_classes(const std::vector<GemmCase>& catalogue,
                                                    const std::vector<GemmCase>& sweep,
                                                    const std::vector<Precision>& precisions);

// The distinct GEMMs of one layer and of the head of every catalogue model for tp 1, 2, 4 and 8, one sequence of the
// model's own length but of 8,192 tokens at most; of equal ones the first origin is kept. Throws UserError when the
// catalogue is empty: TRAINYARD_HOME points elsewhere.
std::vector<GemmCase> catalogue_gemms();

// Powers of two from launch-bound to large in m, n and k, some of them 8 short of a tile multiple; three passes each.
std::vector<GemmCase> sweep_gemms();

}  // namespace trainyard
