#pragma once
// The vocabulary that models (what is computed), kernels (what it costs) and collectives (what moves) share.
#include <cstdint>
#include <numeric>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/base/name_table.hpp"
#include "sim/base/quantity.hpp"

namespace trainyard {

// Number formats of operands. fp8 is scaled per tensor, fp8_block per 128 x 128 weights and 1 x 128 activations
// (DeepSeek style), mxfp8 per 32 elements and nvfp4 per 16, in hardware.
enum class Precision { kFp32, kTf32, kFp16, kBf16, kFp8, kFp8Block, kFp4, kMxFp8, kNvFp4 };
inline constexpr NameTable<Precision, 9> kPrecisionNames{{{{"fp32", Precision::kFp32},
                                                           {"tf32", Precision::kTf32},
                                                           {"fp16", Precision::kFp16},
                                                           {"bf16", Precision::kBf16},
                                                           {"fp8", Precision::kFp8},
                                                           {"fp8_block", Precision::kFp8Block},
                                                           {"fp4", Precision::kFp4},
                                                           {"mxfp8", Precision::kMxFp8},
                                                           {"nvfp4", Precision::kNvFp4}}}};

// Of the elements alone; block scales come beside them (scale_bytes_per_element).
constexpr Bytes bytes_per_element(Precision precision) {
  switch (precision) {
    case Precision::kFp32:
    case Precision::kTf32:
      return {4.0};
    case Precision::kFp16:
    case Precision::kBf16:
      return {2.0};
    case Precision::kFp8:
    case Precision::kFp8Block:
    case Precision::kMxFp8:
      return {1.0};
    case Precision::kFp4:
    case Precision::kNvFp4:
      return {0.5};
  }
  return {4.0};
}

// Of stored weights and activations: formats narrower than 16 bits are for the operands of GEMMs alone.
constexpr Bytes storage_bytes_per_element(Precision precision) {
  return max(bytes_per_element(precision), Bytes{2.0});
}

// Scales of an activation operand, per element: one fp32 number per 128 elements, one byte per 32, one byte per 16.
// Source: DeepSeek-V3, arXiv 2412.19437, section 3.3.2; OCP Microscaling Formats 1.0, section 6.3; NVIDIA, "Pretraining
// Large Language Models with NVFP4", arXiv 2509.25149, section 2.
constexpr Bytes scale_bytes_per_element(Precision precision) {
  switch (precision) {
    case Precision::kFp8Block:
      return {4.0 / 128.0};
    case Precision::kMxFp8:
      return {1.0 / 32.0};
    case Precision::kNvFp4:
      return {1.0 / 16.0};
    default:
      return {};
  }
}

// C[m,n] = A[m,k] B[k,n], `batch` independent ones in one kernel. A multiply-add is two FLOPs.
struct Gemm {
  std::int64_t m = 0;
  std::int64_t n = 0;
  std::int64_t k = 0;
  std::int64_t batch = 1;
  Precision precision = Precision::kBf16;
  // Extra output traffic beyond writing C once in operand precision: a weight gradient accumulated into an fp32 buffer
  // reads and writes 8 bytes instead of writing 2.
  Bytes extra_traffic{};

  constexpr Flops flops() const {
    return {2.0 * static_cast<double>(batch) * static_cast<double>(m) * static_cast<double>(n) *
            static_cast<double>(k)};
  }
  auto operator<=>(const Gemm&) const = default;
};

// Which dimension of a grouped GEMM the groups' token counts are: rows of the result (forward, input gradient), or the
// depth that is summed over (weight gradient).
enum class GroupedBy { kRows, kDepth };

// One GEMM per group (expert) in one kernel, the groups' tokens differing. By rows: C_g[tokens_g, n] = A_g[tokens_g, k]
// B_g[k, n]. By depth: C_g[n, k] = A_g[tokens_g, n]^T B_g[tokens_g, k].
struct GroupedGemm {
  std::vector<std::int64_t> tokens;
  std::int64_t n = 0;
  std::int64_t k = 0;
  GroupedBy by = GroupedBy::kRows;
  Precision precision = Precision::kBf16;
  Bytes extra_traffic{};  // as of Gemm, all groups together

  constexpr std::int64_t total_tokens() const { return std::accumulate(tokens.begin(), tokens.end(), std::int64_t{0}); }
  constexpr Flops flops() const {
    return {2.0 * static_cast<double>(total_tokens()) * static_cast<double>(n) * static_cast<double>(k)};
  }
  auto operator<=>(const GroupedGemm&) const = default;
};

enum class Direction { kForward, kBackward };
enum class Mask { kFull, kCausal };

// Fused (flash) attention over `batch` sequences. Counted FLOPs are 2 b sq skv a (d + dv) forward, 2.5 times that
// backward, half when causal (FlashAttention's benchmark convention). With a window w, causal queries see the w last
// keys: w s - w^2 / 2 scores of a square of s.
struct Attention {
  std::int64_t batch = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t seq_q = 0;
  std::int64_t seq_kv = 0;
  std::int64_t head_dim = 0;
  Mask mask = Mask::kCausal;
  Direction direction = Direction::kForward;
  Precision precision = Precision::kBf16;
  std::int64_t value_dim = 0;  // of a head's values and output; zero: head_dim
  std::int64_t window = 0;     // keys that a query sees at most; zero: all that the mask leaves

  constexpr double values_width() const { return static_cast<double>(value_dim > 0 ? value_dim : head_dim); }
  // Keys that a query sees on average.
  constexpr double visible_keys() const {
    const auto keys = static_cast<double>(seq_kv);
    if (window > 0 && window < seq_kv) {
      const auto w = static_cast<double>(window);
      return mask == Mask::kCausal ? w * (1.0 - 0.5 * w / keys) : w;
    }
    return keys * (mask == Mask::kCausal ? 0.5 : 1.0);
  }
  constexpr Flops flops() const {
    const double forward = 2.0 * static_cast<double>(batch) * static_cast<double>(seq_q) * visible_keys() *
                           static_cast<double>(heads) * (static_cast<double>(head_dim) + values_width());
    return {forward * (direction == Direction::kBackward ? 2.5 : 1.0)};
  }
  auto operator<=>(const Attention&) const = default;
};

// Forward; the gradient of the input; the gradient of the filters.
enum class ConvolutionPass { kForward, kInputGradient, kFilterGradient };
inline constexpr NameTable<ConvolutionPass, 3> kConvolutionPassNames{
    {{{"forward", ConvolutionPass::kForward},
      {"input_gradient", ConvolutionPass::kInputGradient},
      {"filter_gradient", ConvolutionPass::kFilterGradient}}}};

// Which numbers of an image lie side by side: those of a row, or the channels of a pixel.
// By precision: the channels in 16 bits, whose tensor cores want them so, rows in 32.
enum class ImageLayout { kNchw, kNhwc, kByPrecision };
inline constexpr NameTable<ImageLayout, 3> kImageLayoutNames{
    {{{"nchw", ImageLayout::kNchw}, {"nhwc", ImageLayout::kNhwc}, {"by-precision", ImageLayout::kByPrecision}}}};

// A convolution of `images` x `channels` x `height` x `width` with `filters` of `filter_height` x `filter_width` over
// the channels of their group; zeros are added at all four borders. Shapes are those of the forward pass in every pass.
struct Convolution {
  std::int64_t images = 0;
  std::int64_t channels = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t filters = 0;
  std::int64_t filter_height = 1;
  std::int64_t filter_width = 1;
  std::int64_t stride = 1;
  std::int64_t pad_height = 0;
  std::int64_t pad_width = 0;
  std::int64_t groups = 1;  // divides channels and filters
  ConvolutionPass pass = ConvolutionPass::kForward;
  ImageLayout layout = ImageLayout::kNchw;
  Precision precision = Precision::kBf16;

  constexpr std::int64_t out_height() const { return (height + 2 * pad_height - filter_height) / stride + 1; }
  constexpr std::int64_t out_width() const { return (width + 2 * pad_width - filter_width) / stride + 1; }
  constexpr std::int64_t inputs() const { return images * channels * height * width; }
  constexpr std::int64_t outputs() const { return images * filters * out_height() * out_width(); }
  constexpr std::int64_t weights() const { return filters * (channels / groups) * filter_height * filter_width; }
  constexpr Flops flops() const {
    return {2.0 * static_cast<double>(images * out_height() * out_width()) * static_cast<double>(weights())};
  }
  auto operator<=>(const Convolution&) const = default;
};

// A kernel bound by HBM: bytes read plus bytes written.
struct MemoryBound {
  Bytes traffic{};
  // Or by arithmetic: cycles of a multiprocessor, over all of them, and how many share them at most (zero: all).
  double cycles = 0.0;
  std::int64_t multiprocessors = 0;
  auto operator<=>(const MemoryBound&) const = default;
};

using KernelWork = std::variant<Gemm, GroupedGemm, Attention, Convolution, MemoryBound>;

// Collective operations; sizes follow nccl-tests: bytes per rank for all-reduce, broadcast, reduce and send/recv, total
// bytes over all ranks for all-gather, reduce-scatter, all-to-all, gather and scatter. All-to-all-v, whose members send
// each other unequal parts, counts the mean send buffer.
enum class CollectiveOp {
  kAllReduce,
  kAllGather,
  kReduceScatter,
  kBroadcast,
  kReduce,
  kGather,
  kScatter,
  kAllToAll,
  kAllToAllV,
  kSendRecv,
  kBarrier
};
inline constexpr NameTable<CollectiveOp, 11> kCollectiveOpNames{{{{"all_reduce", CollectiveOp::kAllReduce},
                                                                  {"all_gather", CollectiveOp::kAllGather},
                                                                  {"reduce_scatter", CollectiveOp::kReduceScatter},
                                                                  {"broadcast", CollectiveOp::kBroadcast},
                                                                  {"reduce", CollectiveOp::kReduce},
                                                                  {"gather", CollectiveOp::kGather},
                                                                  {"scatter", CollectiveOp::kScatter},
                                                                  {"all_to_all", CollectiveOp::kAllToAll},
                                                                  {"all_to_all_v", CollectiveOp::kAllToAllV},
                                                                  {"sendrecv", CollectiveOp::kSendRecv},
                                                                  {"barrier", CollectiveOp::kBarrier}}}};

// What a backward operator computes; forward operators are kForward.
enum class Pass { kForward, kDgrad, kWgrad };

}  // namespace trainyard
