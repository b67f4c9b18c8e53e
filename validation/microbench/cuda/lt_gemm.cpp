#include "validation/microbench/cuda/lt_gemm.cuh"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "validation/microbench/reference.hpp"

namespace trainyard::microbench {
namespace {

constexpr std::size_t kWorkspace = std::size_t{64} << 20U;
constexpr std::size_t kAlignment = 256;

struct Format {
  std::string_view name;
  cudaDataType_t cuda;
  ElementType element;
};
constexpr std::array<Format, 5> kFormats = {{{"fp32", CUDA_R_32F, ElementType::kFp32},
                                             {"fp16", CUDA_R_16F, ElementType::kFp16},
                                             {"bf16", CUDA_R_16BF, ElementType::kBf16},
                                             {"fp8_e4m3", CUDA_R_8F_E4M3, ElementType::kFp8E4m3},
                                             {"fp8_e5m2", CUDA_R_8F_E5M2, ElementType::kFp8E5m2}}};

const Format& format_of(std::string_view name) {
  const auto* found =
      std::find_if(kFormats.begin(), kFormats.end(), [&](const Format& format) { return format.name == name; });
  if (found == kFormats.end()) {
    throw DeviceError(fmt::format("{} is not measured through cuBLASLt", name));
  }
  return *found;
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
  const OperandFormats formats = operand_formats(spec.format, spec.pass);
  return static_cast<double>(padded(work.batch * work.m * work.k, bytes_of(format_of(formats.left).element)) +
                             padded(work.batch * work.k * work.n, bytes_of(format_of(formats.right).element)) +
                             padded(work.batch * work.m * work.n, bytes_of(format_of(formats.result).element)));
}

// The BLAS counts columns first, so it is given C^T = B^T A^T: its M is n, its left operand is B.
LtGemm::LtGemm(const LtGemmSpec& spec, int copies, cudaStream_t stream)
    : spec_(spec), formats_(operand_formats(spec.format, spec.pass)), layout_(layout_of(spec.format, spec.pass)) {
  const Gemm& work = spec.work;
  const Format& left = format_of(formats_.left);
  const Format& right = format_of(formats_.right);
  const Format& result = format_of(formats_.result);
  a_bytes_ = padded(work.batch * work.k * work.n, bytes_of(right.element));
  b_bytes_ = padded(work.batch * work.m * work.k, bytes_of(left.element));
  c_bytes_ = padded(work.batch * work.m * work.n, bytes_of(result.element));
  const auto sets = static_cast<std::size_t>(copies);
  a_ = DeviceArray<unsigned char>(a_bytes_ * sets);
  b_ = DeviceArray<unsigned char>(b_bytes_ * sets);
  c_ = DeviceArray<unsigned char>(c_bytes_ * sets);
  workspace_ = DeviceArray<unsigned char>(kWorkspace);
  fill_uniform(a_.data(), a_bytes_ * sets / bytes_of(right.element), right.element, stream, 1);
  fill_uniform(b_.data(), b_bytes_ * sets / bytes_of(left.element), left.element, stream, 2);
  fill_uniform(c_.data(), c_bytes_ * sets / bytes_of(result.element), result.element, stream, 3);
  TRAINYARD_CHECK(cudaStreamSynchronize(stream));

  const cublasComputeType_t compute =
      spec.format.precision == Precision::kTf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  TRAINYARD_CHECK(cublasLtCreate(&lt_.handle));
  TRAINYARD_CHECK(cublasLtMatmulDescCreate(&lt_.operation, compute, CUDA_R_32F));
  set(lt_.operation, CUBLASLT_MATMUL_DESC_TRANSA, layout_[0] == 'T' ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(lt_.operation, CUBLASLT_MATMUL_DESC_TRANSB, layout_[1] == 'T' ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (spec.format.precision == Precision::kFp8) {
    // A scale that is not aligned as the operands are is refused when the product is launched, not by the heuristic.
    constexpr std::size_t kApart = kAlignment / sizeof(float);
    const std::vector<float> ones(2 * kApart, 1.0F);
    scales_ = DeviceArray<float>(std::span<const float>(ones));
    set(lt_.operation, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, static_cast<const float*>(scales_.data()));
    set(lt_.operation, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, static_cast<const float*>(scales_.data() + kApart));
    set(lt_.operation, CUBLASLT_MATMUL_DESC_FAST_ACCUM, static_cast<std::int8_t>(spec.format.fast_accumulation));
  }
  lt_.a = operand_layout(right.cuda, layout_[0], work.n, work.k, work.batch);
  lt_.b = operand_layout(left.cuda, layout_[1], work.k, work.m, work.batch);
  lt_.c = operand_layout(result.cuda, 'N', work.n, work.m, work.batch);
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
    throw DeviceError(fmt::format("cuBLASLt has no algorithm for {} {}x{}x{}",
                                  kPrecisionNames.name_of(spec.format.precision), work.m, work.n, work.k));
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

void LtGemm::enqueue(int copy, cudaStream_t stream) const {
  const auto set_index = static_cast<std::size_t>(copy);
  const float alpha = 1.0F;
  const float beta = spec_.format.accumulates ? 1.0F : 0.0F;
  unsigned char* c = c_.data() + set_index * c_bytes_;
  TRAINYARD_CHECK(cublasLtMatmul(lt_.handle, lt_.operation, &alpha, a_.data() + set_index * a_bytes_, lt_.a,
                                 b_.data() + set_index * b_bytes_, lt_.b, &beta, c, lt_.c, c, lt_.c, &chosen_.algo,
                                 workspace_.data(), kWorkspace, stream));
}

double LtGemm::check(cudaStream_t stream) const {
  const Gemm& work = spec_.work;
  const auto count = [](std::int64_t elements) { return static_cast<std::size_t>(elements); };
  const Format& result = format_of(formats_.result);
  const std::size_t results = count(work.batch * work.m * work.n);
  std::vector<double> before(results, 0.0);
  if (spec_.format.accumulates) {
    fill_uniform(c_.data(), results, result.element, stream, 3);
    TRAINYARD_CHECK(cudaStreamSynchronize(stream));
    before = host_values(c_.data(), results, result.element);
  } else {
    poison(c_.data(), c_bytes_, stream);
  }
  enqueue(0, stream);
  TRAINYARD_CHECK(cudaStreamSynchronize(stream));
  const std::vector<double> right =
      host_values(a_.data(), count(work.batch * work.k * work.n), format_of(formats_.right).element);
  const std::vector<double> left =
      host_values(b_.data(), count(work.batch * work.m * work.k), format_of(formats_.left).element);
  const std::vector<double> expected =
      reference::gemm({.left = left,
                       .right = right,
                       .left_order = layout_[1] == 'T' ? reference::Order::kColumns : reference::Order::kRows,
                       .right_order = layout_[0] == 'T' ? reference::Order::kColumns : reference::Order::kRows},
                      work, before);
  return reference::relative_error(host_values(c_.data(), results, result.element), expected, count(work.n));
}

}  // namespace trainyard::microbench
