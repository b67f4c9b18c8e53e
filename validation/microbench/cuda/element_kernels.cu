// Kernels that treat every element alone, or move it: activations, dropout, rotary positions, embeddings, permutation,
// cast, copy.
#include "validation/microbench/cuda/device_code.cuh"
#include "validation/microbench/cuda/kernels.cuh"
#include "validation/microbench/dropout_mask.hpp"

namespace trainyard::microbench {
namespace {

__device__ __forceinline__ std::size_t thread_index() {
  return static_cast<std::size_t>(blockIdx.x) * kThreads + threadIdx.x;
}

__global__ void gelu_packs(const Bf16* x, Bf16* y, std::size_t packs) {
  const std::size_t pack = thread_index();
  if (pack >= packs) {
    return;
  }
  Floats values = load(x + pack * kPackWidth);
#pragma unroll
  for (float& v : values.value) {
    // 0.5 (1 + tanh(u)) = 1 / (1 + exp(-2 u))
    const float inner = 0.7978845608F * (v + 0.044715F * v * v * v);
    v = v / (1.0F + __expf(-2.0F * inner));
  }
  store(y + pack * kPackWidth, values);
}

__global__ void swiglu_packs(const Bf16* x, Bf16* y, std::size_t packs, int packs_per_row) {
  const std::size_t pack = thread_index();
  if (pack >= packs) {
    return;
  }
  const std::size_t row = pack / packs_per_row;
  const Bf16* gate_at = x + (row * 2 * packs_per_row + pack % packs_per_row) * kPackWidth;
  const Floats gate = load(gate_at);
  Floats values = load(gate_at + static_cast<std::size_t>(packs_per_row) * kPackWidth);
#pragma unroll
  for (int i = 0; i < kPackWidth; ++i) {
    values.value[i] *= gate.value[i] / (1.0F + __expf(-gate.value[i]));
  }
  store(y + pack * kPackWidth, values);
}

__global__ void residual_dropout_packs(const Bf16* x, const Bf16* residual, Bf16* y, std::size_t packs,
                                       std::uint32_t threshold, float scale, std::uint32_t seed) {
  const std::size_t pack = thread_index();
  if (pack >= packs) {
    return;
  }
  const Floats values = load(x + pack * kPackWidth);
  Floats out = load(residual + pack * kPackWidth);
#pragma unroll
  for (int i = 0; i < kPackWidth; ++i) {
    const auto element = static_cast<std::uint32_t>(pack * kPackWidth + i);
    out.value[i] += dropout_keeps(seed, element, threshold) ? values.value[i] * scale : 0.0F;
  }
  store(y + pack * kPackWidth, out);
}

// A thread turns a pack of the first half of a head together with its partners in the second.
__global__ void rotary_packs(const Bf16* x, const float* table, Bf16* y, std::size_t pairs, int heads, int half) {
  const std::size_t pair = thread_index();
  if (pair >= pairs) {
    return;
  }
  const int packs_per_half = half / kPackWidth;
  const std::size_t head = pair / packs_per_half;
  const int within = static_cast<int>(pair % packs_per_half) * kPackWidth;
  const float* cosine = table + head / heads * (2 * half) + within;
  const float* sine = cosine + half;
  const std::size_t at = head * (2 * half) + within;
  const Floats low = load(x + at);
  const Floats high = load(x + at + half);
  Floats turned_low;
  Floats turned_high;
#pragma unroll
  for (int i = 0; i < kPackWidth; ++i) {
    turned_low.value[i] = low.value[i] * cosine[i] - high.value[i] * sine[i];
    turned_high.value[i] = high.value[i] * cosine[i] + low.value[i] * sine[i];
  }
  store(y + at, turned_low);
  store(y + at + half, turned_high);
}

__global__ void rotary_angles(float* table, std::size_t entries, int half, double base) {
  const std::size_t entry = thread_index();
  if (entry >= entries) {
    return;
  }
  const std::size_t position = entry / half;
  const int i = static_cast<int>(entry % half);
  const double angle = static_cast<double>(position) * pow(base, -static_cast<double>(i) / half);
  table[position * 2 * half + i] = static_cast<float>(cos(angle));
  table[position * 2 * half + half + i] = static_cast<float>(sin(angle));
}

__global__ void gather_packs(const Pack* table, const int* rows, Pack* y, std::size_t packs, int packs_per_row) {
  const std::size_t pack = thread_index();
  if (pack < packs) {
    const std::size_t source = static_cast<std::size_t>(rows[pack / packs_per_row]);
    y[pack] = table[source * packs_per_row + pack % packs_per_row];
  }
}

__global__ void scatter_add_packs(const Bf16* added, const int* rows, float* table, std::size_t packs,
                                  int packs_per_row) {
  const std::size_t pack = thread_index();
  if (pack >= packs) {
    return;
  }
  const Floats values = load(added + pack * kPackWidth);
  const std::size_t row = static_cast<std::size_t>(rows[pack / packs_per_row]);
  float* target = table + (row * packs_per_row + pack % packs_per_row) * kPackWidth;
#if __CUDA_ARCH__ >= 900
  // Four floats in one atomic. Source: CUDA C++ Programming Guide, atomicAdd for float4, compute capability 9.
  atomicAdd(reinterpret_cast<float4*>(target),
            make_float4(values.value[0], values.value[1], values.value[2], values.value[3]));
  atomicAdd(reinterpret_cast<float4*>(target) + 1,
            make_float4(values.value[4], values.value[5], values.value[6], values.value[7]));
#else
#pragma unroll
  for (int i = 0; i < kPackWidth; ++i) {
    atomicAdd(target + i, values.value[i]);
  }
#endif
}

__global__ void permute_packs(const Pack* x, Pack* y, std::size_t packs, int sequence, int heads, int packs_per_head) {
  const std::size_t pack = thread_index();
  if (pack >= packs) {
    return;
  }
  // Consecutive threads write consecutive packs and read runs of a whole head.
  const std::size_t within = pack % packs_per_head;
  const std::size_t position = pack / packs_per_head % sequence;
  const std::size_t head = pack / packs_per_head / sequence % heads;
  const std::size_t batch = pack / packs_per_head / sequence / heads;
  y[pack] = x[((batch * sequence + position) * heads + head) * packs_per_head + within];
}

__global__ void cast_packs(const float4* x, Bf16* y, std::size_t packs) {
  const std::size_t pack = thread_index();
  if (pack < packs) {
    const float4 a = x[2 * pack];
    const float4 b = x[2 * pack + 1];
    store(y + pack * kPackWidth, {{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}});
  }
}

__global__ void copy_packs(const uint4* from, uint4* to, std::size_t packs) {
  const std::size_t pack = thread_index();
  if (pack < packs) {
    to[pack] = from[pack];
  }
}

// Eight loads in flight a thread, as NCCL's simple protocol has.
constexpr int kUnrolled = 8;
constexpr int kCopyThreads = 512;
// So that no block of a matrix multiplication fits beside one on an SM, as none does beside a channel of NCCL.
constexpr int kHeldShared = 64 << 10;
__global__ void __launch_bounds__(kCopyThreads)
    copy_rounds(const uint4* from, uint4* to, std::size_t packs, int rounds) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * kCopyThreads;
  const std::size_t first = static_cast<std::size_t>(blockIdx.x) * kCopyThreads + threadIdx.x;
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t at = first; at < packs; at += stride * kUnrolled) {
      uint4 held[kUnrolled];
#pragma unroll
      for (int i = 0; i < kUnrolled; ++i) {
        if (at + i * stride < packs) {
          held[i] = __ldcs(from + at + i * stride);
        }
      }
#pragma unroll
      for (int i = 0; i < kUnrolled; ++i) {
        if (at + i * stride < packs) {
          __stcs(to + at + i * stride, held[i]);
        }
      }
    }
  }
}

__global__ void nothing() {}

__global__ void spin_ticks(long long ticks) {
  const long long start = clock64();
  while (clock64() - start < ticks) {
  }
}

}  // namespace

void gelu(const Bf16* x, Bf16* y, std::size_t count, cudaStream_t stream) {
  const std::size_t packs = count / kPackWidth;
  gelu_packs<<<blocks_for(packs), kThreads, 0, stream>>>(x, y, packs);
  check_launch("gelu_packs");
}

void swiglu(const Bf16* x, Bf16* y, int rows, int half, cudaStream_t stream) {
  const std::size_t packs = static_cast<std::size_t>(rows) * half / kPackWidth;
  swiglu_packs<<<blocks_for(packs), kThreads, 0, stream>>>(x, y, packs, half / kPackWidth);
  check_launch("swiglu_packs");
}

void residual_dropout(const Bf16* x, const Bf16* residual, Bf16* y, std::size_t count, float probability,
                      std::uint32_t seed, cudaStream_t stream) {
  const std::size_t packs = count / kPackWidth;
  residual_dropout_packs<<<blocks_for(packs), kThreads, 0, stream>>>(
      x, residual, y, packs, dropout_threshold(static_cast<double>(probability)), 1.0F / (1.0F - probability), seed);
  check_launch("residual_dropout_packs");
}

void rotary(const Bf16* x, const float* table, Bf16* y, int positions, int heads, int dimension, cudaStream_t stream) {
  const std::size_t pairs = static_cast<std::size_t>(positions) * heads * dimension / 2 / kPackWidth;
  rotary_packs<<<blocks_for(pairs), kThreads, 0, stream>>>(x, table, y, pairs, heads, dimension / 2);
  check_launch("rotary_packs");
}

void rotary_table(float* table, int positions, int dimension, double base, cudaStream_t stream) {
  const std::size_t entries = static_cast<std::size_t>(positions) * (dimension / 2);
  rotary_angles<<<blocks_for(entries), kThreads, 0, stream>>>(table, entries, dimension / 2, base);
  check_launch("rotary_angles");
}

void gather_rows(const Bf16* table, const int* rows, Bf16* y, int count, int width, cudaStream_t stream) {
  const std::size_t packs = static_cast<std::size_t>(count) * width / kPackWidth;
  gather_packs<<<blocks_for(packs), kThreads, 0, stream>>>(reinterpret_cast<const Pack*>(table), rows,
                                                           reinterpret_cast<Pack*>(y), packs, width / kPackWidth);
  check_launch("gather_packs");
}

void scatter_add(const Bf16* added, const int* rows, float* table, int count, int width, cudaStream_t stream) {
  const std::size_t packs = static_cast<std::size_t>(count) * width / kPackWidth;
  scatter_add_packs<<<blocks_for(packs), kThreads, 0, stream>>>(added, rows, table, packs, width / kPackWidth);
  check_launch("scatter_add_packs");
}

void permute_heads(const Bf16* x, Bf16* y, int batch, int sequence, int heads, int dimension, cudaStream_t stream) {
  const std::size_t packs = static_cast<std::size_t>(batch) * sequence * heads * dimension / kPackWidth;
  permute_packs<<<blocks_for(packs), kThreads, 0, stream>>>(
      reinterpret_cast<const Pack*>(x), reinterpret_cast<Pack*>(y), packs, sequence, heads, dimension / kPackWidth);
  check_launch("permute_packs");
}

void cast_down(const float* x, Bf16* y, std::size_t count, cudaStream_t stream) {
  const std::size_t packs = count / kPackWidth;
  cast_packs<<<blocks_for(packs), kThreads, 0, stream>>>(reinterpret_cast<const float4*>(x), y, packs);
  check_launch("cast_packs");
}

void copy(const void* from, void* to, std::size_t bytes, cudaStream_t stream) {
  const std::size_t packs = bytes / sizeof(uint4);
  copy_packs<<<blocks_for(packs), kThreads, 0, stream>>>(static_cast<const uint4*>(from), static_cast<uint4*>(to),
                                                         packs);
  check_launch("copy_packs");
}

void copy_with_blocks(const void* from, void* to, std::size_t bytes, int blocks, int rounds, cudaStream_t stream) {
  TRAINYARD_CHECK(cudaFuncSetAttribute(copy_rounds, cudaFuncAttributeMaxDynamicSharedMemorySize, kHeldShared));
  copy_rounds<<<blocks, kCopyThreads, kHeldShared, stream>>>(static_cast<const uint4*>(from), static_cast<uint4*>(to),
                                                             bytes / sizeof(uint4), rounds);
  check_launch("copy_rounds");
}

void empty_kernel(cudaStream_t stream) {
  nothing<<<1, kWarp, 0, stream>>>();
  check_launch("nothing");
}

void spin(long long ticks, cudaStream_t stream) {
  spin_ticks<<<1, 1, 0, stream>>>(ticks);
  check_launch("spin_ticks");
}

}  // namespace trainyard::microbench
