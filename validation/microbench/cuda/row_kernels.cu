// Kernels that reduce over rows: normalisations, softmax, cross-entropy.
#include "validation/microbench/cuda/device_code.cuh"
#include "validation/microbench/cuda/kernels.cuh"

namespace trainyard::microbench {
namespace {

// One block holds one row in registers: kThreads threads of up to kPacks packs.
template <int kPacks, bool kCentred>
__global__ void __launch_bounds__(kThreads)
    norm_rows(const Bf16* x, const Bf16* gain, const Bf16* bias, Bf16* y, int width, float epsilon) {
  __shared__ float shared[kThreads / kWarp];
  const std::size_t row = static_cast<std::size_t>(blockIdx.x) * width;
  const int packs = width / kPackWidth;
  Floats held[kPacks];
  float sum = 0.0F;
#pragma unroll
  for (int p = 0; p < kPacks; ++p) {
    const int pack = p * kThreads + static_cast<int>(threadIdx.x);
    if (pack < packs) {
      held[p] = load(x + row + pack * kPackWidth);
#pragma unroll
      for (const float v : held[p].value) {
        sum += kCentred ? v : v * v;
      }
    }
  }
  sum = block_sum(sum, shared) / static_cast<float>(width);
  float mean = 0.0F;
  float variance = sum;
  if constexpr (kCentred) {
    mean = sum;
    float squares = 0.0F;
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
      if (p * kThreads + static_cast<int>(threadIdx.x) < packs) {
#pragma unroll
        for (const float v : held[p].value) {
          squares += (v - mean) * (v - mean);
        }
      }
    }
    variance = block_sum(squares, shared) / static_cast<float>(width);
  }
  const float scale = rsqrtf(variance + epsilon);
#pragma unroll
  for (int p = 0; p < kPacks; ++p) {
    const int pack = p * kThreads + static_cast<int>(threadIdx.x);
    if (pack < packs) {
      const Floats g = load(gain + pack * kPackWidth);
      Floats out;
#pragma unroll
      for (int i = 0; i < kPackWidth; ++i) {
        out.value[i] = (held[p].value[i] - mean) * scale * g.value[i];
      }
      if constexpr (kCentred) {
        const Floats b = load(bias + pack * kPackWidth);
#pragma unroll
        for (int i = 0; i < kPackWidth; ++i) {
          out.value[i] += b.value[i];
        }
      }
      store(y + row + pack * kPackWidth, out);
    }
  }
}

template <bool kCentred>
void launch_norm(const Bf16* x, const Bf16* gain, const Bf16* bias, Bf16* y, int rows, int width, float epsilon,
                 cudaStream_t stream) {
  const int packs = (width / kPackWidth + kThreads - 1) / kThreads;
  if (packs <= 1) {
    norm_rows<1, kCentred><<<rows, kThreads, 0, stream>>>(x, gain, bias, y, width, epsilon);
  } else if (packs <= 2) {
    norm_rows<2, kCentred><<<rows, kThreads, 0, stream>>>(x, gain, bias, y, width, epsilon);
  } else if (packs <= 4) {
    norm_rows<4, kCentred><<<rows, kThreads, 0, stream>>>(x, gain, bias, y, width, epsilon);
  } else {
    norm_rows<8, kCentred><<<rows, kThreads, 0, stream>>>(x, gain, bias, y, width, epsilon);
  }
  check_launch("norm_rows");
}

template <int kPacks>
__global__ void __launch_bounds__(kThreads) softmax_rows(const Bf16* x, Bf16* y, int columns, float scale) {
  __shared__ float shared[kThreads / kWarp];
  const std::size_t row = static_cast<std::size_t>(blockIdx.x) * columns;
  const int seen = static_cast<int>(blockIdx.x) % columns + 1;
  const int packs = columns / kPackWidth;
  Floats held[kPacks];
  float largest = -INFINITY;
#pragma unroll
  for (int p = 0; p < kPacks; ++p) {
    const int first = (p * kThreads + static_cast<int>(threadIdx.x)) * kPackWidth;
    if (first < seen) {
      held[p] = load(x + row + first);
    }
#pragma unroll
    for (int i = 0; i < kPackWidth; ++i) {
      held[p].value[i] = first + i < seen ? held[p].value[i] * scale : -INFINITY;
      largest = fmaxf(largest, held[p].value[i]);
    }
  }
  largest = block_largest(largest, shared);
  float sum = 0.0F;
#pragma unroll
  for (int p = 0; p < kPacks; ++p) {
#pragma unroll
    for (float& v : held[p].value) {
      v = __expf(v - largest);
      sum += v;
    }
  }
  const float inverse = 1.0F / block_sum(sum, shared);
#pragma unroll
  for (int p = 0; p < kPacks; ++p) {
    const int pack = p * kThreads + static_cast<int>(threadIdx.x);
    if (pack < packs) {
#pragma unroll
      for (float& v : held[p].value) {
        v *= inverse;
      }
      store(y + row + pack * kPackWidth, held[p]);
    }
  }
}

// Each thread keeps the largest logit and the sum of exponentials below it as it goes, so the row is read once.
// Source: online normaliser, arXiv 1805.02867, algorithm 3.
__global__ void __launch_bounds__(kThreads)
    cross_entropy_rows(const Bf16* logits, const int* labels, float* loss, float* log_sum, int vocabulary) {
  __shared__ float shared[kThreads / kWarp];
  const Bf16* row = logits + static_cast<std::size_t>(blockIdx.x) * vocabulary;
  float largest = -INFINITY;
  float sum = 0.0F;
  for (int at = static_cast<int>(threadIdx.x) * kPackWidth; at < vocabulary; at += kThreads * kPackWidth) {
    const Floats values = load(row + at);
    float here = values.value[0];
#pragma unroll
    for (const float v : values.value) {
      here = fmaxf(here, v);
    }
    const float larger = fmaxf(largest, here);
    sum *= __expf(largest - larger);
#pragma unroll
    for (const float v : values.value) {
      sum += __expf(v - larger);
    }
    largest = larger;
  }
  const float top = block_largest(largest, shared);
  // A thread without elements has largest = -infinity and sum = 0.
  const float total = block_sum(sum > 0.0F ? sum * __expf(largest - top) : 0.0F, shared);
  if (threadIdx.x == 0) {
    const float log_total = top + logf(total);
    log_sum[blockIdx.x] = log_total;
    loss[blockIdx.x] = log_total - __bfloat162float(row[labels[blockIdx.x]]);
  }
}

__global__ void __launch_bounds__(kThreads)
    cross_entropy_gradient(const Bf16* logits, const int* labels, const float* log_sum, Bf16* gradient,
                           int vocabulary) {
  const int row = static_cast<int>(blockIdx.y);
  const int at = (static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x)) * kPackWidth;
  if (at >= vocabulary) {
    return;
  }
  const std::size_t first = static_cast<std::size_t>(row) * vocabulary + at;
  Floats values = load(logits + first);
  const float log_total = log_sum[row];
  const int label = labels[row];
#pragma unroll
  for (int i = 0; i < kPackWidth; ++i) {
    values.value[i] = __expf(values.value[i] - log_total) - (at + i == label ? 1.0F : 0.0F);
  }
  store(gradient + first, values);
}

}  // namespace

void layer_norm(const Bf16* x, const Bf16* gain, const Bf16* bias, Bf16* y, int rows, int width, float epsilon,
                cudaStream_t stream) {
  launch_norm<true>(x, gain, bias, y, rows, width, epsilon, stream);
}

void rms_norm(const Bf16* x, const Bf16* gain, Bf16* y, int rows, int width, float epsilon, cudaStream_t stream) {
  launch_norm<false>(x, gain, nullptr, y, rows, width, epsilon, stream);
}

void causal_softmax(const Bf16* x, Bf16* y, int rows, int columns, float scale, cudaStream_t stream) {
  const int packs = (columns / kPackWidth + kThreads - 1) / kThreads;
  if (packs <= 1) {
    softmax_rows<1><<<rows, kThreads, 0, stream>>>(x, y, columns, scale);
  } else if (packs <= 2) {
    softmax_rows<2><<<rows, kThreads, 0, stream>>>(x, y, columns, scale);
  } else if (packs <= 4) {
    softmax_rows<4><<<rows, kThreads, 0, stream>>>(x, y, columns, scale);
  } else {
    softmax_rows<8><<<rows, kThreads, 0, stream>>>(x, y, columns, scale);
  }
  check_launch("softmax_rows");
}

void cross_entropy_forward(const Bf16* logits, const int* labels, float* loss, float* log_sum, int rows, int vocabulary,
                           cudaStream_t stream) {
  cross_entropy_rows<<<rows, kThreads, 0, stream>>>(logits, labels, loss, log_sum, vocabulary);
  check_launch("cross_entropy_rows");
}

void cross_entropy_backward(const Bf16* logits, const int* labels, const float* log_sum, Bf16* gradient, int rows,
                            int vocabulary, cudaStream_t stream) {
  const auto across = static_cast<unsigned>(blocks_for(static_cast<std::size_t>(vocabulary / kPackWidth)));
  const dim3 grid(across, static_cast<unsigned>(rows));
  cross_entropy_gradient<<<grid, kThreads, 0, stream>>>(logits, labels, log_sum, gradient, vocabulary);
  check_launch("cross_entropy_gradient");
}

}  // namespace trainyard::microbench
