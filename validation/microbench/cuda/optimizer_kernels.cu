// Kernels of the optimizer step: fused Adam and the norm of all gradients.
#include "validation/microbench/cuda/device_code.cuh"
#include "validation/microbench/cuda/kernels.cuh"

namespace trainyard::microbench {
namespace {

constexpr int kQuad = 4;  // floats in 16 bytes

struct alignas(8) HalfPack {
  Bf16 value[kQuad];
};

__global__ void adam_quads(AdamArguments a, std::size_t quads) {
  const std::size_t at = static_cast<std::size_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= quads) {
    return;
  }
  float4 parameter = reinterpret_cast<float4*>(a.parameter)[at];
  float4 first = reinterpret_cast<float4*>(a.first)[at];
  float4 second = reinterpret_cast<float4*>(a.second)[at];
  const float4 gradient = reinterpret_cast<const float4*>(a.gradient)[at];
  HalfPack copied;
  float* p = &parameter.x;
  float* m = &first.x;
  float* v = &second.x;
  const float* g = &gradient.x;
#pragma unroll
  for (int i = 0; i < kQuad; ++i) {
    m[i] = a.beta1 * m[i] + (1.0F - a.beta1) * g[i];
    v[i] = a.beta2 * v[i] + (1.0F - a.beta2) * g[i] * g[i];
    const float move = m[i] / a.correction1 / (sqrtf(v[i] / a.correction2) + a.epsilon) + a.decay * p[i];
    p[i] -= a.rate * move;
    copied.value[i] = __float2bfloat16_rn(p[i]);
  }
  reinterpret_cast<float4*>(a.parameter)[at] = parameter;
  reinterpret_cast<float4*>(a.first)[at] = first;
  reinterpret_cast<float4*>(a.second)[at] = second;
  reinterpret_cast<HalfPack*>(a.copy)[at] = copied;
}

__global__ void __launch_bounds__(kThreads) sum_squares(const float4* x, float* partial, std::size_t quads) {
  __shared__ float shared[kThreads / kWarp];
  float sum = 0.0F;
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * kThreads;
  for (std::size_t at = static_cast<std::size_t>(blockIdx.x) * kThreads + threadIdx.x; at < quads; at += stride) {
    const float4 v = x[at];
    sum += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
  }
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
  }
}

__global__ void __launch_bounds__(kThreads) root_of_sum(const float* partial, float* norm) {
  __shared__ float shared[kThreads / kWarp];
  float sum = 0.0F;
  for (int at = static_cast<int>(threadIdx.x); at < kNormBlocks; at += kThreads) {
    sum += partial[at];
  }
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) {
    *norm = sqrtf(sum);
  }
}

}  // namespace

void adam(const AdamArguments& arguments, cudaStream_t stream) {
  const std::size_t quads = arguments.count / kQuad;
  adam_quads<<<blocks_for(quads), kThreads, 0, stream>>>(arguments, quads);
  check_launch("adam_quads");
}

void gradient_norm(const float* x, float* partial, float* norm, std::size_t count, cudaStream_t stream) {
  sum_squares<<<kNormBlocks, kThreads, 0, stream>>>(reinterpret_cast<const float4*>(x), partial, count / kQuad);
  check_launch("sum_squares");
  root_of_sum<<<1, kThreads, 0, stream>>>(partial, norm);
  check_launch("root_of_sum");
}

}  // namespace trainyard::microbench
