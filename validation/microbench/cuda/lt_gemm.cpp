#include "validation/microbench/cuda/lt_gemm.cuh"

#include <fmt/format.h>

#include "validation/microbench/gemm_cases.hpp"

namespace trainyard::microbench {
namespace {

constexpr std::size_t kWorkspace = std::size_t{64} << 20U;
constexpr std::size_t kAlignment = 256;

struct Formats {
  cudaDataType_t operand;
  cudaDataType_t result;
  cublasComputeType_t compute;
  ElementType element;
};

Formats formats_of(const LtGemmSpec& spec) {
  Formats formats{CUDA_R_16BF, CUDA_R_16BF, CUBLAS_COMPUTE_32F, ElementType::kBf16};
  switch (spec.precision) {
    case Precision::kFp32:
      formats = {CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F, ElementType::kFp32};
      break;
    case Precision::kTf32:
      formats = {CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32, ElementType::kFp32};
      break;
    case Precision::kFp16:
      formats = {CUDA_R_16F, CUDA_R_16F, CUBLAS_COMPUTE_32F, ElementType::kFp16};
      break;
    case Precision::kFp8:
      formats = {CUDA_R_8F_E4M3, CUDA_R_16BF, CUBLAS_COMPUTE_32F, ElementType::kFp8};
      break;
    case Precision::kBf16:
      break;
    case Precision::kFp8Block:
    case Precision::kFp4:
    case Precision::kMxFp8:
    case Precision::kNvFp4:
      throw DeviceError("block-scaled formats are not measured through cuBLASLt");
  }
  if (spec.accumulates) {
    formats.result = CUDA_R_32F;
  }
  return formats;
}

std::size_t result_bytes(const LtGemmSpec& spec) {
  return formats_of(spec).result == CUDA_R_32F ? 4 : 2;
}

std::size_t padded(std::int64_t elements, std::size_t element_bytes) {
  const std::size_t bytes = static_cast<std::size_t>(elements) * element_bytes;
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

template <class Value>
void set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute, const Value& value) {
  TRAINYARD_CHECK(cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof(value)));
}

// A matrix of `rows` x `columns` as the BLAS counts, stored transposed where the layout's letter is T.
cublasLtMatrixLayout_t operand_layout(cudaDataType_t type, char letter, std::int64_t rows, std::int64_t columns,
                                      std::int64_t batch) {
  const std::int64_t stored_rows = letter == 'T' ? columns : rows;
  const std::int64_t stored_columns = letter == 'T' ? rows : columns;
  cublasLtMatrixLayout_t layout = nullptr;
  TRAINYARD_CHECK(cublasLtMatrixLayoutCreate(&layout, type, static_cast<std::uint64_t>(stored_rows),
                                             static_cast<std::uint64_t>(stored_columns), stored_rows));
  const auto count = static_cast<std::int32_t>(batch);
  const std::int64_t stride = rows * columns;
  TRAINYARD_CHECK(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof(count)));
  TRAINYARD_CHECK(
      cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof(stride)));
  return layout;
}

}  // namespace

double operand_bytes(const LtGemmSpec& spec) {
  const Gemm& work = spec.work;
  const std::size_t element = bytes_of(formats_of(spec).element);
  return static_cast<double>(padded(work.batch * work.m * work.k, element) +
                             padded(work.batch * work.k * work.n, element) +
                             padded(work.batch * work.m * work.n, result_bytes(spec)));
}

// The BLAS counts columns first, so it is given C^T = B^T A^T: its M is n, its left operand is B.
LtGemm::LtGemm(const LtGemmSpec& spec, int copies, cudaStream_t stream) : spec_(spec) {
  const Gemm& work = spec.work;
  const Formats formats = formats_of(spec);
  const std::size_t element = bytes_of(formats.element);
  // 8-bit operands have to lie along k: Source: cuBLAS documentation, section cublasLtMatmul, "TN format".
  layout_ = spec.precision == Precision::kFp8 ? "TN" : blas_layout(spec.pass);
  a_bytes_ = padded(work.batch * work.k * work.n, element);
  b_bytes_ = padded(work.batch * work.m * work.k, element);
  c_bytes_ = padded(work.batch * work.m * work.n, result_bytes(spec));
  const auto sets = static_cast<std::size_t>(copies);
  a_ = DeviceArray<unsigned char>(a_bytes_ * sets);
  b_ = DeviceArray<unsigned char>(b_bytes_ * sets);
  c_ = DeviceArray<unsigned char>(c_bytes_ * sets);
  workspace_ = DeviceArray<unsigned char>(kWorkspace);
  fill_uniform(a_.data(), a_bytes_ * sets / element, formats.element, stream);
  fill_uniform(b_.data(), b_bytes_ * sets / element, formats.element, stream);
  TRAINYARD_CHECK(cudaMemsetAsync(c_.data(), 0, c_.bytes(), stream));
  TRAINYARD_CHECK(cudaStreamSynchronize(stream));

  TRAINYARD_CHECK(cublasLtCreate(&lt_.handle));
  TRAINYARD_CHECK(cublasLtMatmulDescCreate(&lt_.operation, formats.compute, CUDA_R_32F));
  set(lt_.operation, CUBLASLT_MATMUL_DESC_TRANSA, layout_[0] == 'T' ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(lt_.operation, CUBLASLT_MATMUL_DESC_TRANSB, layout_[1] == 'T' ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (spec.precision == Precision::kFp8) {
    const std::vector<float> ones = {1.0F, 1.0F};
    scales_ = DeviceArray<float>(std::span<const float>(ones));
    set(lt_.operation, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, static_cast<const float*>(scales_.data()));
    set(lt_.operation, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, static_cast<const float*>(scales_.data() + 1));
  }
  lt_.a = operand_layout(formats.operand, layout_[0], work.n, work.k, work.batch);
  lt_.b = operand_layout(formats.operand, layout_[1], work.k, work.m, work.batch);
  lt_.c = operand_layout(formats.result, 'N', work.n, work.m, work.batch);
  cublasLtMatmulPreference_t preference = nullptr;
  TRAINYARD_CHECK(cublasLtMatmulPreferenceCreate(&preference));
  TRAINYARD_CHECK(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                       &kWorkspace, sizeof(kWorkspace)));
  int found = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(lt_.handle, lt_.operation, lt_.a, lt_.b, lt_.c, lt_.c,
                                                               preference, 1, &chosen_, &found);
  cublasLtMatmulPreferenceDestroy(preference);
  TRAINYARD_CHECK(status);
  if (found == 0) {
    throw DeviceError(fmt::format("cuBLASLt has no algorithm for {} {}x{}x{}", kPrecisionNames.name_of(spec.precision),
                                  work.m, work.n, work.k));
  }
  TRAINYARD_CHECK(cublasLtMatmulAlgoConfigGetAttribute(&chosen_.algo, CUBLASLT_ALGO_CONFIG_ID, &algorithm_,
                                                       sizeof(algorithm_), nullptr));
}

LtHandles::~LtHandles() {
  for (const cublasLtMatrixLayout_t layout : {a, b, c}) {
    if (layout != nullptr) {
      cublasLtMatrixLayoutDestroy(layout);
    }
  }
  if (operation != nullptr) {
    cublasLtMatmulDescDestroy(operation);
  }
  if (handle != nullptr) {
    cublasLtDestroy(handle);
  }
}

std::string_view LtGemm::out_dtype() const {
  switch (formats_of(spec_).result) {
    case CUDA_R_32F:
      return "fp32";
    case CUDA_R_16F:
      return "fp16";
    default:
      return "bf16";
  }
}

void LtGemm::enqueue(int copy, cudaStream_t stream) const {
  const auto set_index = static_cast<std::size_t>(copy);
  const float alpha = 1.0F;
  const float beta = spec_.accumulates ? 1.0F : 0.0F;
  unsigned char* c = c_.data() + set_index * c_bytes_;
  TRAINYARD_CHECK(cublasLtMatmul(lt_.handle, lt_.operation, &alpha, a_.data() + set_index * a_bytes_, lt_.a,
                                 b_.data() + set_index * b_bytes_, lt_.b, &beta, c, lt_.c, c, lt_.c, &chosen_.algo,
                                 workspace_.data(), kWorkspace, stream));
}

}  // namespace trainyard::microbench
