#pragma once
// What the kernels share: 16-byte packs and sums over a block. Device code only.
#include <cuda_bf16.h>

#include "validation/microbench/cuda/check.cuh"

namespace trainyard::microbench {

inline constexpr int kWarp = 32;
inline constexpr int kPackWidth = 8;  // 16-bit elements in 16 bytes

struct alignas(16) Pack {
  __nv_bfloat16 value[kPackWidth];
};

struct Floats {
  float value[kPackWidth];
};

__device__ __forceinline__ Floats load(const __nv_bfloat16* from) {
  const Pack pack = *reinterpret_cast<const Pack*>(from);
  Floats out;
#pragma unroll
  for (int i = 0; i < kPackWidth; ++i) {
    out.value[i] = __bfloat162float(pack.value[i]);
  }
  return out;
}

__device__ __forceinline__ void store(__nv_bfloat16* to, const Floats& values) {
  Pack pack;
#pragma unroll
  for (int i = 0; i < kPackWidth; ++i) {
    pack.value[i] = __float2bfloat16_rn(values.value[i]);
  }
  *reinterpret_cast<Pack*>(to) = pack;
}

// The sum (or the largest) over all threads of the block, in every thread. Threads are a multiple of a warp; `shared`
// has room for a float per warp. The tree is fixed, so sums repeat bit for bit.
template <class Combine>
__device__ __forceinline__ float block_reduce(float value, Combine combine, float neutral, float* shared) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    value = combine(value, __shfl_xor_sync(0xFFFFFFFFU, value, offset));
  }
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  if (threadIdx.x % kWarp == 0) {
    shared[threadIdx.x / kWarp] = value;
  }
  __syncthreads();
  value = static_cast<int>(threadIdx.x % kWarp) < warps ? shared[threadIdx.x % kWarp] : neutral;
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    value = combine(value, __shfl_xor_sync(0xFFFFFFFFU, value, offset));
  }
  __syncthreads();
  return value;
}

struct Sum {
  __device__ float operator()(float a, float b) const { return a + b; }
};
struct Largest {
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

__device__ __forceinline__ float block_sum(float value, float* shared) {
  return block_reduce(value, Sum{}, 0.0F, shared);
}
__device__ __forceinline__ float block_largest(float value, float* shared) {
  return block_reduce(value, Largest{}, -INFINITY, shared);
}

// Blocks of 256 threads that cover `items` once, each thread one item: the hardware's scheduler balances better than a
// loop of few blocks where items differ.
inline constexpr int kThreads = 256;
inline int blocks_for(std::size_t items) {
  return static_cast<int>((items + kThreads - 1) / kThreads);
}

inline void check_launch(const char* kernel) {
  check(cudaGetLastError(), kernel);
}

}  // namespace trainyard::microbench
