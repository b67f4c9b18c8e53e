#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <cstdint>

#include "validation/microbench/cuda/check.cuh"
#include "validation/microbench/cuda/fill.cuh"

namespace trainyard::microbench {
namespace {

template <class T>
__global__ void fill(T* data, std::size_t count, unsigned seed, Range range) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) {
    // A linear congruential step and a mix are random enough for operands. Source: Numerical Recipes, section 7.1.
    std::uint32_t h = (static_cast<std::uint32_t>(i) + seed * 0x9E3779B9U) * 1664525U + 1013904223U;
    h ^= h >> 15U;
    h *= 0x2C1B3C6DU;
    h ^= h >> 12U;
    const float share = static_cast<float>(h) / 4294967296.0F;
    data[i] = T(range == Range::kPositive ? share : 2.0F * share - 1.0F);
  }
}

template <class T>
void launch(void* data, std::size_t count, cudaStream_t stream, unsigned seed, Range range) {
  fill<T><<<1024, 256, 0, stream>>>(static_cast<T*>(data), count, seed, range);
  TRAINYARD_CHECK(cudaGetLastError());
}

template <class T>
std::vector<double> read_back(const void* data, std::size_t count) {
  std::vector<T> values(count);
  TRAINYARD_CHECK(cudaMemcpy(values.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost));
  std::vector<double> out;
  out.reserve(count);
  for (const T& value : values) {
    out.push_back(static_cast<double>(static_cast<float>(value)));
  }
  return out;
}

}  // namespace

void fill_uniform(void* data, std::size_t count, ElementType type, cudaStream_t stream, unsigned seed, Range range) {
  switch (type) {
    case ElementType::kFp32:
      return launch<float>(data, count, stream, seed, range);
    case ElementType::kFp16:
      return launch<__half>(data, count, stream, seed, range);
    case ElementType::kBf16:
      return launch<__nv_bfloat16>(data, count, stream, seed, range);
    case ElementType::kFp8E4m3:
      return launch<__nv_fp8_e4m3>(data, count, stream, seed, range);
    case ElementType::kFp8E5m2:
      return launch<__nv_fp8_e5m2>(data, count, stream, seed, range);
  }
}

void poison(void* data, std::size_t bytes, cudaStream_t stream) {
  TRAINYARD_CHECK(cudaMemsetAsync(data, 0xFF, bytes, stream));
}

std::vector<double> host_values(const void* data, std::size_t count, ElementType type) {
  switch (type) {
    case ElementType::kFp32:
      return read_back<float>(data, count);
    case ElementType::kFp16:
      return read_back<__half>(data, count);
    case ElementType::kBf16:
      return read_back<__nv_bfloat16>(data, count);
    case ElementType::kFp8E4m3:
      return read_back<__nv_fp8_e4m3>(data, count);
    case ElementType::kFp8E5m2:
      return read_back<__nv_fp8_e5m2>(data, count);
  }
  return {};
}

}  // namespace trainyard::microbench
