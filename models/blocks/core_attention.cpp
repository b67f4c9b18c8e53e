// Kernels of core attention: what lies between the projections and the output.
#include "models/blocks/attention.hpp"
#include "models/blocks/linear.hpp"

namespace trainyard {
namespace {

// Every product in terms of its own shape: scores [s, s], queries and keys [s, d], values and context [s, dv].
struct Scores {
  std::int64_t elements = 0;  // of all score matrices
  std::int64_t queries = 0;   // elements of the queries
  std::int64_t context = 0;   // elements of the attention output
  Gemm query_key{};           // scores = query x key^T
  Gemm gradient_value{};      // the probabilities' gradient: context gradient x value^T
  Gemm scores_value{};        // context = probabilities x value; values' gradient has its shape too
  Gemm scores_key{};          // queries' gradient, and keys'
};

Scores scores_of(const ShardContext& context) {
  const std::int64_t s = context.shape().seq_len;
  const Shard& shard = context.shard();
  const std::int64_t d = shard.query_width / shard.heads;
  const std::int64_t dv = shard.context_width / shard.heads;
  const std::int64_t matrices = context.shape().micro_batch * shard.heads;
  const Precision precision = context.wide_precision();
  return {.elements = matrices * s * s,
          .queries = shard.tokens * shard.query_width,
          .context = shard.tokens * shard.context_width,
          .query_key = {.m = s, .n = s, .k = d, .batch = matrices, .precision = precision},
          .gradient_value = {.m = s, .n = s, .k = dv, .batch = matrices, .precision = precision},
          .scores_value = {.m = s, .n = dv, .k = s, .batch = matrices, .precision = precision},
          .scores_key = {.m = s, .n = d, .k = s, .batch = matrices, .precision = precision}};
}

// Whether Megatron's fused softmax kernels take the scores of a rank: four matrices at a time, rows of 17 to 4096
// numbers of 16 bits. Source: Megatron-LM, megatron/model/fused_softmax.py, is_kernel_available.
bool softmax_is_fused(const ShardContext& context) {
  constexpr std::int64_t kMatricesAtOnce = 4;
  constexpr std::int64_t kLongestRow = 4096;
  constexpr std::int64_t kShortestRow = 17;
  const ShardShape& shape = context.shape();
  const bool is_half = context.element() < kSingle;
  return context.options().attention == AttentionKernel::kUnfusedSoftmaxFused && is_half &&
         shape.seq_len >= kShortestRow && shape.seq_len <= kLongestRow && shape.seq_len % kMatricesAtOnce == 0 &&
         shape.micro_batch * context.shard().heads % kMatricesAtOnce == 0;
}

// In fp32 there is nothing to cast; the cast that is listed there all the same is a copy that profiles without
// softmax_casts do not make.
bool casts(const ShardContext& context) {
  return context.options().softmax_casts == Presence::kPresent;
}

// Softmax as PyTorch statements: scale, mask, softmax in fp32, back to the operand format.
Step eager_softmax(std::int64_t scores) {
  return {.forward =
              [=](OperatorList& list) {
                const Bytes e = list.element();
                list.elementwise("attention_scale", Pass::kForward, scores, 2.0 * e);
                list.elementwise("attention_mask", Pass::kForward, scores, 2.0 * e);
                if (casts(list)) {
                  list.elementwise("softmax", Pass::kForward, scores, e + kSingle);
                  list.elementwise("softmax_cast", Pass::kForward, scores, kSingle + e);
                } else {
                  list.elementwise("softmax", Pass::kForward, scores, 2.0 * e);
                }
              },
          .backward =
              [=](OperatorList& list) {
                const Bytes e = list.element();
                if (casts(list)) {
                  list.elementwise("softmax_cast_backward", Pass::kDgrad, scores, e + kSingle);
                  list.elementwise("softmax_backward", Pass::kDgrad, scores, 2.0 * kSingle + e);
                } else {
                  list.elementwise("softmax_backward", Pass::kDgrad, scores, 3.0 * e);
                }
                list.elementwise("attention_scale_backward", Pass::kDgrad, scores, 2.0 * e);
              }};
}

// Megatron's own way where its fused kernel does not take the scores, all in fp32. The scale is the layer's number,
// which the product before was divided by. Source: Megatron-LM, megatron/model/fused_softmax.py, forward_torch_softmax.
Step torch_softmax(std::int64_t scores) {
  return {.forward =
              [=](OperatorList& list) {
                const Bytes e = list.element();
                list.elementwise("softmax_to_fp32", Pass::kForward, scores, e + kSingle);
                list.elementwise("attention_scale", Pass::kForward, scores, 2.0 * kSingle);
                list.elementwise("attention_mask", Pass::kForward, scores, 2.0 * kSingle);
                list.elementwise("softmax", Pass::kForward, scores, 2.0 * kSingle);
                list.elementwise("softmax_cast", Pass::kForward, scores, kSingle + e);
              },
          .backward =
              [=](OperatorList& list) {
                const Bytes e = list.element();
                list.elementwise("softmax_cast_backward", Pass::kDgrad, scores, e + kSingle);
                list.elementwise("softmax_backward", Pass::kDgrad, scores, 3.0 * kSingle);
                list.elementwise("attention_mask_backward", Pass::kDgrad, scores, 2.0 * kSingle);
                list.elementwise("attention_scale_backward", Pass::kDgrad, scores, 2.0 * kSingle);
                list.elementwise("softmax_from_fp32", Pass::kDgrad, scores, kSingle + e);
              }};
}

// The softmax of unfused attention as the framework runs it, and what its backward reads.
void softmax(Description& description, const Scores& scores) {
  const Bytes e = description.element();
  const bool is_fused = softmax_is_fused(description);
  if (description.options().attention == AttentionKernel::kUnfused) {
    description.step(eager_softmax(scores.elements));
  } else if (!is_fused) {
    description.step(torch_softmax(scores.elements));
  } else {
    // Megatron's fused causal softmax stops reading at the diagonal, but writes whole rows. Source: Megatron-LM
    // megatron/fused_kernels/scaled_upper_triang_masked_softmax.h.
    const double read = mask_of(description.model(), description.kind()) == Mask::kCausal ? 0.5 : 1.0;
    description.elementwise(scores.elements, {"softmax", (read + 1.0) * e},
                            {"softmax_backward", (2.0 * read + 1.0) * e});
  }
  description.keep("softmax_output", scores.elements, is_fused ? e : kSingle);
  // The operand of the product with the values, where it is not the softmax's own output.
  description.keep("attention_probabilities", scores.elements, description.dropout() || !is_fused ? e : Bytes{});
}

// Unfused products need keys and values once per query head, and keep them so.
void expand_keys_and_values(Description& description, const Scores& scores, const AttentionInputs& inputs) {
  const Bytes e = description.element();
  if (description.shard().kv_heads < description.shard().heads) {
    const auto traffic = static_cast<double>(inputs.keys.elements) * e + static_cast<double>(scores.context) * e;
    for (int i = 0; i < 2; ++i) {
      description.elementwise(1, {"key_value_expand", traffic}, {"key_value_sum", traffic});
    }
  }
  description.keep(inputs.keys.name, scores.queries, e);
  description.keep(inputs.values.name, scores.context, e);
}

// What is added to the scores, and the tanh that bounds them, outside of fused attention: each a kernel, and the
// learned table's gradient a sum over sequences.
void score_changes(Description& description, std::int64_t scores) {
  const Positions positions = description.model().positions;
  const Bytes e = description.element();
  if (positions == Positions::kAlibi || positions == Positions::kRelative) {
    description.step(
        {.forward = [=](OperatorList& list) { list.elementwise("position_bias", Pass::kForward, scores, 3.0 * e); },
         .backward =
             [=](OperatorList& list) {
               if (positions == Positions::kRelative) {
                 list.elementwise("position_bias_gradient", Pass::kWgrad, scores, e);
               }
             }});
  }
  if (description.model().attention_soft_cap == Presence::kPresent) {
    description.elementwise(scores, {"attention_soft_cap", 2.0 * e}, {"attention_soft_cap", 3.0 * e});
  }
}

// [b, s, heads, d] to [b, heads, s, d], contiguous for the batched product.
void eager_transposes(Description& description, const Scores& scores) {
  const auto transpose = [=](OperatorList& list, Pass pass) {
    for (const std::int64_t elements : {scores.queries, scores.queries, scores.context}) {
      list.elementwise("head_transpose", pass, elements, 2.0 * list.element());
    }
  };
  description.step({.forward = [=](OperatorList& list) { transpose(list, Pass::kForward); },
                    .backward = [=](OperatorList& list) { transpose(list, Pass::kDgrad); }});
}

// The scale that the forward product applied in its epilogue is a kernel of its own backward, for queries and for keys.
// Source: PyTorch derivatives.yaml, baddbmm.
void scale_in_epilogue(Description& description, const Scores& scores) {
  description.step({.forward = {}, .backward = [=](OperatorList& list) {
                      for (int i = 0; i < 2; ++i) {
                        list.elementwise("attention_scale_backward", Pass::kDgrad, scores.queries,
                                         2.0 * list.element());
                      }
                    }});
}

void unfused_attention(Description& description, const AttentionInputs& inputs) {
  const Bytes e = description.element();
  const Scores scores = scores_of(description);
  const bool is_eager = description.options().attention == AttentionKernel::kUnfused;
  if (!description.model().latent) {
    expand_keys_and_values(description, scores, inputs);
  }
  is_eager ? eager_transposes(description, scores) : scale_in_epilogue(description, scores);
  description.step(
      {.forward = [=](OperatorList& list) { list.gemm("attention_scores", Pass::kForward, scores.query_key); },
       .backward =
           [=](OperatorList& list) {
             list.gemm("attention_scores", Pass::kDgrad, scores.scores_key);  // queries
             list.gemm("attention_scores", Pass::kDgrad, scores.scores_key);  // keys
           }});
  score_changes(description, scores.elements);
  softmax(description, scores);
  if (description.dropout()) {
    description.elementwise(scores.elements, {"attention_dropout", 2.0 * e + kMask},
                            {"attention_dropout_backward", 2.0 * e + kMask});
    description.keep("attention_dropout_mask", scores.elements, kMask);
  }
  description.step(
      {.forward = [=](OperatorList& list) { list.gemm("attention_context", Pass::kForward, scores.scores_value); },
       .backward =
           [=](OperatorList& list) {
             list.gemm("attention_context", Pass::kDgrad, scores.gradient_value);  // probabilities
             list.gemm("attention_context", Pass::kDgrad, scores.scores_value);    // values
           }});
  const Bytes back = is_eager ? 2.0 * e : Bytes{};
  description.step(
      {.forward =
           [=](OperatorList& list) { list.elementwise("context_transpose", Pass::kForward, scores.context, 2.0 * e); },
       .backward =
           [=](OperatorList& list) {
             if (back > Bytes{}) {
               list.elementwise("context_transpose", Pass::kDgrad, scores.context, back);
             }
           }});
}

// Copies around the fused kernel: OperatorOptions::attention_copies.
void attention_copies(Description& description) {
  const Shard& shard = description.shard();
  const Bytes moved = 2.0 * description.element();
  const std::int64_t merged = shard.tokens * shard.qkv_width();
  const std::int64_t keys_and_values = shard.tokens * 2 * shard.key_value_width;
  description.elementwise(merged, {"head_transpose", moved}, {"head_stack", moved});
  description.elementwise(keys_and_values, {"key_value_join", moved}, {"key_value_interleave", moved});
  description.elementwise(keys_and_values, {"key_value_interleave", moved}, {"key_value_split_backward", moved});
  description.step({.forward =
                        [](OperatorList& list) {
                          constexpr int kMaskLaunches = 6;  // of queries and of keys: zeros, sum, running sum
                          list.small("sequence_lengths", Pass::kForward, list.shape().micro_batch, kMaskLaunches);
                        },
                    .backward = {}});
}

void fused_attention(Description& description) {
  const bool has_copies = description.options().attention_copies == Presence::kPresent;
  if (has_copies) {
    attention_copies(description);
  }
  description.step({.forward =
                        [](OperatorList& list) {
                          list.attention("core_attention", Pass::kForward, flash_attention(list, Direction::kForward));
                        },
                    .backward =
                        [](OperatorList& list) {
                          list.attention("core_attention", Pass::kDgrad, flash_attention(list, Direction::kBackward));
                        }});
  // Back into sequence-first order, only where that differs from what it has.
  if (has_copies && description.shape().micro_batch > 1) {
    const Bytes moved = 2.0 * description.element();
    description.elementwise(description.shard().tokens * description.shard().query_width, {"context_transpose", moved},
                            {"context_transpose", moved});
  }
}

}  // namespace

Attention flash_attention(const ShardContext& context, Direction direction) {
  const Shard& shard = context.shard();
  const ShardShape& shape = context.shape();
  const bool is_packed = shape.document_len > 0;
  const std::int64_t seq_len = is_packed ? shape.document_len : shape.seq_len;
  const std::int64_t documents = is_packed ? shape.seq_len / shape.document_len : 1;  // of a sequence
  const bool windowed = context.kind().span == AttentionSpan::kWindow && context.model().window < seq_len;
  return {.batch = shape.micro_batch * documents,
          .heads = shard.heads,
          .kv_heads = context.model().latent ? shard.heads : shard.kv_heads,
          .seq_q = seq_len,
          .seq_kv = seq_len,
          .head_dim = shard.query_width / shard.heads,
          .mask = mask_of(context.model(), context.kind()),
          .direction = direction,
          .precision = context.wide_precision(),
          .value_dim = context.model().latent ? shard.context_width / shard.heads : 0,
          .window = windowed ? context.model().window : 0};
}

double multiply_adds(const Attention& attention) {
  return static_cast<double>(attention.batch) * static_cast<double>(attention.seq_q) *
         static_cast<double>(attention.heads) * (static_cast<double>(attention.head_dim) + attention.values_width()) *
         attention.visible_keys();
}

Tensor context_tensor(Description& description, std::string_view name, std::string_view operand_name) {
  const std::int64_t elements = description.shard().tokens * description.shard().context_width;
  const Tensor operand{.name = name, .elements = elements, .element = operand_element(description)};
  if (!is_flash(description)) {
    return operand;
  }
  const Tensor context{.name = name, .elements = elements, .element = description.element()};
  description.keep(context);
  return operand.element < context.element
             ? Tensor{.name = operand_name, .elements = elements, .element = operand.element}
             : context;
}

Tensor core_attention(Description& description, const AttentionInputs& inputs) {
  description.keep(inputs.queries);
  if (is_flash(description) || description.model().latent) {
    description.keep(inputs.keys);
    description.keep(inputs.values);
  } else {
    description.keep_as_input(inputs.keys, RecomputeModule::kCoreAttention);
    description.keep_as_input(inputs.values, RecomputeModule::kCoreAttention);
  }
  if (description.model().attention_sinks == Presence::kPresent) {
    description.weight({.elements = description.shard().heads});
  }
  description.products(multiply_adds(flash_attention(description, Direction::kForward)));
  {
    const auto scope = description.repeated_by(RecomputeModule::kCoreAttention);
    if (description.shape().cp > 1) {
      context_attention(description);
    } else if (is_flash(description)) {
      fused_attention(description);
    } else {
      unfused_attention(description, inputs);
    }
    if (is_flash(description)) {
      // The logarithm of the sum of each row.
      description.keep("attention_statistics", description.shard().tokens * description.shard().heads, kSingle);
    }
  }
  // A plain checkpoint: what comes out of it stays.
  return context_tensor(description, "attention_output", "attention_output_operand");
}

}  // namespace trainyard
