#pragma once
// The memory-bound kernels of a transformer step, written for this suite. Matrices are row-major; extents that a thread
// walks over in 16-byte steps are multiples of 8. Each comment states what moves (bytes, with 16-bit activations);
// FLOPs are a few for each element and never the bound. Launches throw DeviceError.
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace trainyard::microbench {

using Bf16 = __nv_bfloat16;

// Reads x, writes y: 4 bytes an element. width <= kWidestRow.
inline constexpr int kWidestRow = 16384;
void layer_norm(const Bf16* x, const Bf16* gain, const Bf16* bias, Bf16* y, int rows, int width, float epsilon,
                cudaStream_t stream);
void rms_norm(const Bf16* x, const Bf16* gain, Bf16* y, int rows, int width, float epsilon, cudaStream_t stream);
// Row r of every `columns` rows sees columns 0 .. r and writes zeros beyond: reads 2 bytes for half of the elements,
// writes 2 for all.
void causal_softmax(const Bf16* x, Bf16* y, int rows, int columns, float scale, cudaStream_t stream);
// 4 bytes an element.
void gelu(const Bf16* x, Bf16* y, std::size_t count, cudaStream_t stream);
// x holds gate and up side by side, rows of 2 half: 6 bytes for each output.
void swiglu(const Bf16* x, Bf16* y, int rows, int half, cudaStream_t stream);
// y = residual + dropout(x), the mask by hash (dropout_mask.hpp): 6 bytes an element.
void residual_dropout(const Bf16* x, const Bf16* residual, Bf16* y, std::size_t count, float probability,
                      std::uint32_t seed, cudaStream_t stream);
// Rows [position, head, dimension]; table holds cosine then sine for each position, dimension/2 each: 4 bytes an
// element and the table.
void rotary(const Bf16* x, const float* table, Bf16* y, int positions, int heads, int dimension, cudaStream_t stream);
// The table that rotary() reads: angles position * base^(-2 i / dimension).
void rotary_table(float* table, int positions, int dimension, double base, cudaStream_t stream);
// Loss and log of the sum of exponentials for each row: 2 bytes a logit.
void cross_entropy_forward(const Bf16* logits, const int* labels, float* loss, float* log_sum, int rows, int vocabulary,
                           cudaStream_t stream);
// Gradient over the logits: 4 bytes a logit.
void cross_entropy_backward(const Bf16* logits, const int* labels, const float* log_sum, Bf16* gradient, int rows,
                            int vocabulary, cudaStream_t stream);
// 4 bytes an element of the output.
void gather_rows(const Bf16* table, const int* rows, Bf16* y, int count, int width, cudaStream_t stream);
// Adds rows of 16-bit gradients into an fp32 table: 2 bytes read, 8 read and written in the table for each element.
void scatter_add(const Bf16* added, const int* rows, float* table, int count, int width, cudaStream_t stream);
// [batch, sequence, heads, dimension] to [batch, heads, sequence, dimension]: 4 bytes an element.
void permute_heads(const Bf16* x, Bf16* y, int batch, int sequence, int heads, int dimension, cudaStream_t stream);
// fp32 to bf16: 6 bytes an element.
void cast_down(const float* x, Bf16* y, std::size_t count, cudaStream_t stream);

struct AdamArguments {
  float* parameter;
  float* first;
  float* second;
  const float* gradient;
  Bf16* copy;  // the parameter in the format of the forward pass
  std::size_t count;
  float rate, beta1, beta2, epsilon, decay;
  float correction1, correction2;  // 1 - beta^step
};
// Reads 16 bytes, writes 14 for each parameter.
void adam(const AdamArguments& arguments, cudaStream_t stream);

// Square root of the sum of squares, in a fixed order: 4 bytes an element. `partial` has kNormBlocks floats.
inline constexpr int kNormBlocks = 1024;
void gradient_norm(const float* x, float* partial, float* norm, std::size_t count, cudaStream_t stream);

// Copies 16 bytes a thread: the yardstick. 2 bytes moved for each byte copied.
void copy(const void* from, void* to, std::size_t bytes, cudaStream_t stream);
// The same by so many blocks of 512 threads, `rounds` times over: what a collective's channels are to their neighbours.
void copy_with_blocks(const void* from, void* to, std::size_t bytes, int blocks, int rounds, cudaStream_t stream);
// Does nothing, for launch costs; `spin` keeps one thread busy for so many clock ticks.
void empty_kernel(cudaStream_t stream);
void spin(long long ticks, cudaStream_t stream);

}  // namespace trainyard::microbench
