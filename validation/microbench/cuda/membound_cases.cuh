#pragma once
// The memory-bound kernels as cases: at a small size each is checked against the float64 reference, at growing sizes it
// is timed.
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "validation/microbench/cuda/device_array.cuh"

namespace trainyard::microbench {

// One kernel at one size, its operands in device memory, as many sets of them as were asked for.
struct KernelRun {
  double traffic_bytes = 0.0;  // read plus written, as kernels.cuh states
  std::string shape;           // for people: "4096 x 8192"
  std::function<void(cudaStream_t, int copy)> launch;
  // relative_error (reference.hpp) after one launch on the first set, from the initial operands into poisoned results.
  std::function<double()> error;
};

// How a kernel's traffic is counted for the cost model: one sweep, or a reduction to a few numbers.
enum class SweepKind { kElementwise, kReduction };

struct KernelCase {
  std::string_view name;
  SweepKind kind;
  double tolerance;  // of KernelRun::error; a bfloat16 result is rounded by up to 2^-9 of its value
  // A run that moves about so many bytes at every call.
  KernelRun (*make)(double bytes, int copies);
};

std::vector<KernelCase> row_cases();      // LayerNorm, RMSNorm, softmax, cross-entropy
std::vector<KernelCase> element_cases();  // GeLU, SwiGLU, residual + dropout, RoPE, permute, cast
std::vector<KernelCase> state_cases();    // embedding gather and scatter-add, Adam, gradient norm

}  // namespace trainyard::microbench
