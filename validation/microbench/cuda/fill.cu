#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <cstdint>

#include "validation/microbench/cuda/check.cuh"
#include "validation/microbench/cuda/fill.cuh"

namespace trainyard::microbench {
namespace {

template <class T>
__global__ void fill(T* data, std::size_t count) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) {
    // A linear congruential step and a mix are random enough for operands. Source: Numerical Recipes, section 7.1.
    std::uint32_t h = static_cast<std::uint32_t>(i) * 1664525U + 1013904223U;
    h ^= h >> 15U;
    h *= 0x2C1B3C6DU;
    h ^= h >> 12U;
    data[i] = T(static_cast<float>(h) / 2147483648.0F - 1.0F);
  }
}

template <class T>
void launch(void* data, std::size_t count, cudaStream_t stream) {
  fill<T><<<1024, 256, 0, stream>>>(static_cast<T*>(data), count);
  TRAINYARD_CHECK(cudaGetLastError());
}

}  // namespace

void fill_uniform(void* data, std::size_t count, ElementType type, cudaStream_t stream) {
  switch (type) {
    case ElementType::kFp32:
      return launch<float>(data, count, stream);
    case ElementType::kFp16:
      return launch<__half>(data, count, stream);
    case ElementType::kBf16:
      return launch<__nv_bfloat16>(data, count, stream);
    case ElementType::kFp8:
      return launch<__nv_fp8_e4m3>(data, count, stream);
  }
}

}  // namespace trainyard::microbench
