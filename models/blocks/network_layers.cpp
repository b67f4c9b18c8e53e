// Layers of networks that have weights.
#include "models/blocks/linear.hpp"
#include "models/blocks/network_values.hpp"

namespace trainyard {
namespace {

// The convolution whose forward pass the layer runs; of a transposed one it is what runs backwards through it.
Convolution convolution_of(const ShardContext& context, const NetworkLayer& layer) {
  const bool is_transposed = layer.type == NetworkLayerType::kTransposedConvolution;
  const Extent& in = is_transposed ? layer.out : layer.in;
  return {.images = context.shape().micro_batch,
          .channels = in.channels,
          .height = in.height,
          .width = in.width,
          .filters = (is_transposed ? layer.in : layer.out).channels,
          .filter_height = layer.kernel_height,
          .filter_width = layer.kernel_width,
          .stride = layer.stride,
          .pad_height = layer.pad_height,
          .pad_width = layer.pad_width,
          .groups = layer.groups,
          .pass = ConvolutionPass::kForward,
          .layout = context.options().images,
          .precision = context.shape().precision};
}

Convolution as_pass(Convolution work, ConvolutionPass pass) {
  work.pass = pass;
  return work;
}

}  // namespace

// Weights are cast at every use under autocast, and their gradients back. A bias is added by a kernel of its own, and
// its gradient summed by one. Source: PyTorch, aten/src/ATen/native/cudnn/ConvShared.cpp.
void convolution(Description& description, const NetworkLayer& layer) {
  const Convolution work = convolution_of(description, layer);
  const bool is_transposed = layer.type == NetworkLayerType::kTransposedConvolution;
  const ConvolutionPass there = is_transposed ? ConvolutionPass::kInputGradient : ConvolutionPass::kForward;
  const ConvolutionPass back = is_transposed ? ConvolutionPass::kForward : ConvolutionPass::kInputGradient;
  const std::int64_t outputs = batch_elements(description, layer.out);
  description.step({.forward =
                        [=](OperatorList& list) {
                          list.cast("cast_weight", Pass::kForward, work.weights());
                          list.convolution("conv", Pass::kForward, as_pass(work, there));
                          if (layer.bias) {
                            list.elementwise("bias_add", Pass::kForward, outputs, 2.0 * list.element());
                          }
                        },
                    .backward =
                        [=](OperatorList& list) {
                          if (!layer.is_first) {
                            list.convolution("conv", Pass::kDgrad, as_pass(work, back));
                          }
                          list.convolution("conv", Pass::kWgrad, as_pass(work, ConvolutionPass::kFilterGradient));
                          list.cast("cast_weight_gradient", Pass::kWgrad, work.weights());
                          list.accumulate_gradient(work.weights());
                          if (layer.bias) {
                            list.elementwise("bias_gradient", Pass::kWgrad, outputs, list.element());
                            list.accumulate_gradient(layer.out.channels);
                          }
                        }});
  description.weight({.elements = work.weights(),
                      .multiplied = static_cast<double>(work.weights()),
                      .tokens = work.images * work.out_height() * work.out_width(),
                      .rows = work.filters});
  if (layer.bias) {
    description.weight({.elements = layer.out.channels});
  }
}

namespace {

// Cycles of a multiprocessor for each number, forward and backward, and whether a multiprocessor takes a channel.
struct NormArithmetic {
  double forward = 0.0;
  double backward = 0.0;
  bool by_channel = false;
};

// Sums over the batch do not keep up with memory where a multiprocessor has one channel of it after the other (NCHW),
// and in PyTorch's own kernels, which take bf16. Source: this project's measurements on an H100, records of
// batch_norm_fwd and batch_norm_bwd at 51 MB and more: medians of the cycles.
NormArithmetic norm_arithmetic(const ShardContext& context) {
  const bool is_nchw = context.options().images == ImageLayout::kNchw;
  if (context.shape().precision == Precision::kBf16) {
    return is_nchw ? NormArithmetic{1.6, 2.7, true} : NormArithmetic{1.35, 1.15, false};
  }
  return is_nchw ? NormArithmetic{1.15, 2.1, true} : NormArithmetic{};
}

}  // namespace

// Statistics need a sweep over the input before it can be normalised, and sums over input and gradient before the
// input's gradient; what the activation behind it does is done on the way where a library fuses both. Source: cuDNN,
// CUDNN_BATCHNORM_SPATIAL_PERSISTENT; PyTorch, aten/src/ATen/native/cuda/Normalization.cuh.
void batch_norm(Description& description, const NetworkLayer& layer) {
  const std::int64_t elements = batch_elements(description, layer.out);
  const std::int64_t channels = layer.in.channels;
  const NormArithmetic arithmetic = norm_arithmetic(description);
  const auto work = [=](Bytes per_element, double cycles) {
    return MemoryBound{.traffic = static_cast<double>(elements) * per_element,
                       .cycles = static_cast<double>(elements) * cycles,
                       .multiprocessors = arithmetic.by_channel ? channels : 0};
  };
  const bool has_sums = description.options().batch_norm == BatchNormFusion::kConvolution &&
                        description.options().images == ImageLayout::kNhwc;
  const double forward_sweeps = has_sums ? 2.0 : 3.0;
  const double backward_sweeps = has_sums ? 3.0 : 5.0;
  description.step(
      {.forward =
           [=](OperatorList& list) {
             list.memory_bound("batch_norm", Pass::kForward, work(forward_sweeps * list.element(), arithmetic.forward));
           },
       .backward =
           [=](OperatorList& list) {
             list.memory_bound("batch_norm", Pass::kDgrad, work(backward_sweeps * list.element(), arithmetic.backward));
             list.accumulate_gradient(2 * channels);
           }});
  description.weight({.elements = 2 * channels, .tensors = 2});
}

void dense(Description& description, std::string_view name, std::int64_t in, std::int64_t out, std::int64_t rows,
           bool has_bias, bool needs_input_gradient) {
  const Linear one{.name = name,
                   .in = in,
                   .outputs = {out},
                   .bias = has_bias ? Presence::kPresent : Presence::kAbsent,
                   .input_gradient = needs_input_gradient ? Presence::kPresent : Presence::kAbsent};
  linear(description, one, Cut::kNone, rows, {});
}

// Rows are read and summed; the table's gradient is cleared, the indices sorted, and rows added.
void embedding(Description& description, const NetworkLayer& layer) {
  const std::int64_t vectors = description.shape().micro_batch * layer.in.positions();
  const std::int64_t read = vectors * layer.lookups * layer.out.channels;
  const std::int64_t table = layer.rows * layer.out.channels;
  const std::int64_t outputs = batch_elements(description, layer.out);
  constexpr int kSortLaunches = 5;  // Source: PyTorch, aten/src/ATen/native/cuda/Embedding.cu
  description.step({.forward =
                        [=](OperatorList& list) {
                          list.elementwise("embedding", Pass::kForward, read + outputs, list.residual_element());
                        },
                    .backward =
                        [=](OperatorList& list) {
                          const Bytes e = list.residual_element();
                          list.elementwise("embedding_gradient_clear", Pass::kWgrad, table, e);
                          list.small("embedding_index_sort", Pass::kWgrad, vectors * layer.lookups, kSortLaunches);
                          list.elementwise("embedding_gradient", Pass::kWgrad, read, 2.0 * e);
                          list.accumulate_gradient(table);
                        }});
  description.weight({.elements = table});
}

// Queries, keys and values at once, fused attention over all positions, and the output's projection.
void self_attention(Description& description, const NetworkLayer& layer, Value& input) {
  const std::int64_t positions = layer.in.positions();
  const std::int64_t rows = description.shape().micro_batch * positions;
  const std::int64_t channels = layer.in.channels;
  const Bytes e = description.element();
  dense(description, "qkv", channels, 3 * channels, rows, layer.bias, !layer.is_first);
  input.keep(description);
  description.keep("query_key_value", rows * 3 * channels, e);
  Attention work{.batch = description.shape().micro_batch,
                 .heads = layer.heads,
                 .kv_heads = layer.heads,
                 .seq_q = positions,
                 .seq_kv = positions,
                 .head_dim = channels / layer.heads,
                 .mask = Mask::kFull,
                 .direction = Direction::kForward,
                 .precision = description.wide_precision()};
  Attention back = work;
  back.direction = Direction::kBackward;
  description.step({.forward = [=](OperatorList& list) { list.attention("core_attention", Pass::kForward, work); },
                    .backward = [=](OperatorList& list) { list.attention("core_attention", Pass::kDgrad, back); }});
  description.products(work.flops().value / 2.0);
  description.keep("core_attention_output", rows * channels, e);
  dense(description, "attention_output", channels, channels, rows, layer.bias, true);
}

// The input's part of the four gates at once; then, position after position, the state's part and the gates. Source:
// Appleyard et al., "Optimizing Performance of Recurrent Neural Networks on GPUs", arXiv 1604.01946, section 3. Two
// biases, as cuDNN and PyTorch have them.
void lstm(Description& description, const NetworkLayer& layer) {
  constexpr std::int64_t kGates = 4;
  const std::int64_t batch = description.shape().micro_batch;
  const std::int64_t positions = layer.in.width;
  const std::int64_t hidden = layer.out.channels;
  const Precision precision = description.shape().precision;
  const Gemm state{.m = batch, .n = kGates * hidden, .k = hidden, .precision = precision};
  const Gemm state_back{.m = batch, .n = hidden, .k = kGates * hidden, .precision = precision};
  dense(description, "lstm_input", layer.in.channels, kGates * hidden, batch * positions, true, !layer.is_first);
  description.step({.forward =
                        [=](OperatorList& list) {
                          for (std::int64_t i = 0; i < positions; ++i) {
                            list.gemm("lstm_state", Pass::kForward, state);
                            list.elementwise("lstm_gates", Pass::kForward, batch * hidden, 8.0 * list.element());
                          }
                        },
                    .backward =
                        [=](OperatorList& list) {
                          for (std::int64_t i = 0; i < positions; ++i) {
                            list.elementwise("lstm_gates", Pass::kDgrad, batch * hidden, 12.0 * list.element());
                            list.gemm("lstm_state", Pass::kDgrad, state_back);
                          }
                          list.gemm(
                              "lstm_state", Pass::kWgrad,
                              {.m = kGates * hidden, .n = hidden, .k = batch * positions, .precision = precision});
                          list.accumulate_gradient(kGates * hidden * (hidden + 1));
                        }});
  // Gates, the cell and the output of every position.
  description.keep("lstm_gates", batch * positions * hidden * (kGates + 2), description.element());
  const std::int64_t matrix = kGates * hidden * hidden;
  description.weight({.elements = matrix,
                      .multiplied = static_cast<double>(matrix),
                      .tokens = batch * positions,
                      .rows = kGates * hidden});
  description.weight({.elements = kGates * hidden});
}

}  // namespace trainyard
