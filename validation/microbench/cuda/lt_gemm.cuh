#pragma once
// One matrix multiplication, ready to be enqueued through cuBLASLt with the algorithm its heuristic ranks first.
#include <cublasLt.h>

#include <string>
#include <string_view>
#include <vector>

#include "sim/base/work.hpp"
#include "validation/microbench/cuda/device_array.cuh"
#include "validation/microbench/cuda/fill.cuh"
#include "validation/microbench/gemm_cases.hpp"

namespace trainyard::microbench {

struct LtGemmSpec {
  Gemm work;
  Pass pass = Pass::kForward;
  GemmFormat format;
};

// Bytes of A, B and C together.
double operand_bytes(const LtGemmSpec& spec);

// cuBLASLt's objects, destroyed together.
struct LtHandles {
  LtHandles() = default;
  ~LtHandles();
  LtHandles(const LtHandles&) = delete;
  LtHandles& operator=(const LtHandles&) = delete;

  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a = nullptr;
  cublasLtMatrixLayout_t b = nullptr;
  cublasLtMatrixLayout_t c = nullptr;
};

class LtGemm {
 public:
  // `copies` sets of operands lie behind one another, so that a caller may walk through them. Throws DeviceError when
  // cuBLASLt has no algorithm for the format or the GPU has no units for it.
  LtGemm(const LtGemmSpec& spec, int copies, cudaStream_t stream);
  void enqueue(int copy, cudaStream_t stream) const;
  std::string_view layout() const { return layout_; }
  const OperandFormats& formats() const { return formats_; }
  int algorithm() const { return algorithm_; }
  // Relative error of the first copy's result, computed anew into a poisoned C, against float64 on the host: for small
  // shapes. The norm of the difference over the norm of the reference, of the worst row.
  double check(cudaStream_t stream) const;

 private:
  LtGemmSpec spec_;
  OperandFormats formats_;
  std::string_view layout_;
  int algorithm_ = -1;
  std::size_t a_bytes_ = 0;
  std::size_t b_bytes_ = 0;
  std::size_t c_bytes_ = 0;
  DeviceArray<unsigned char> a_;
  DeviceArray<unsigned char> b_;
  DeviceArray<unsigned char> c_;
  DeviceArray<unsigned char> workspace_;
  DeviceArray<float> scales_;
  LtHandles lt_;
  cublasLtMatmulHeuristicResult_t chosen_{};
};

}  // namespace trainyard::microbench
