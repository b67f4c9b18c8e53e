// Kernels of core attention (what lies between the QKV and the output projection) and of rotary positions.
#include "models/operator_list.hpp"

namespace trainyard {
namespace {

constexpr Bytes kSingle{4.0};
constexpr Bytes kMask{1.0};  // a dropout mask is one byte per element

// Every product in terms of its own shape: scores [s, s], queries and keys [s, d], values and context [s, dv].
struct Scores {
  std::int64_t elements = 0;  // of all score matrices
  std::int64_t queries = 0;   // elements of the queries
  std::int64_t context = 0;   // elements of the attention output
  std::int64_t keys = 0;      // elements of the keys before they are expanded to one per query head
  std::int64_t values = 0;
  Gemm query_key{};       // scores = query x key^T
  Gemm gradient_value{};  // the probabilities' gradient: context gradient x value^T
  Gemm scores_value{};    // context = probabilities x value; values' gradient has its shape too
  Gemm scores_key{};      // queries' gradient, and keys'
};

Scores scores_of(const OperatorList& list) {
  const std::int64_t s = list.shape().seq_len;
  const Shard& shard = list.shard();
  const std::int64_t d = shard.query_width / shard.heads;
  const std::int64_t dv = shard.context_width / shard.heads;
  const std::int64_t matrices = list.shape().micro_batch * shard.heads;
  const Precision precision = list.wide_precision();
  const bool latent = list.model().latent.has_value();
  return {.elements = matrices * s * s,
          .queries = shard.tokens * shard.query_width,
          .context = shard.tokens * shard.context_width,
          .keys = shard.tokens * (latent ? shard.query_width : shard.key_value_width),
          .values = shard.tokens * (latent ? shard.context_width : shard.key_value_width),
          .query_key = {.m = s, .n = s, .k = d, .batch = matrices, .precision = precision},
          .gradient_value = {.m = s, .n = s, .k = dv, .batch = matrices, .precision = precision},
          .scores_value = {.m = s, .n = dv, .k = s, .batch = matrices, .precision = precision},
          .scores_key = {.m = s, .n = d, .k = s, .batch = matrices, .precision = precision}};
}

bool grouped_queries(const OperatorList& list) {
  return !list.model().latent && list.shard().kv_heads < list.shard().heads;
}

// Unfused products need keys and values once per query head.
void expand_keys_and_values(OperatorList& list, const Scores& scores, Pass pass, std::string_view name) {
  if (grouped_queries(list)) {
    const Bytes traffic =
        static_cast<double>(scores.keys) * list.element() + static_cast<double>(scores.context) * list.element();
    for (int i = 0; i < 2; ++i) {
      list.elementwise(name, pass, 1, traffic);
    }
  }
}

// Fraction of the scores that Megatron's fused causal softmax reads: it stops at the diagonal, but writes whole rows.
// Source: Megatron-LM megatron/fused_kernels/scaled_upper_triang_masked_softmax.h.
double scores_read(const OperatorList& list) {
  return mask_of(list.model(), list.kind()) == Mask::kCausal ? 0.5 : 1.0;
}

// Softmax as PyTorch statements: scale, mask, softmax in fp32, back to the operand format.
void eager_softmax_forward(OperatorList& list, const Scores& scores) {
  const Bytes e = list.element();
  list.elementwise("attention_scale", Pass::kForward, scores.elements, 2.0 * e);
  list.elementwise("attention_mask", Pass::kForward, scores.elements, 2.0 * e);
  list.elementwise("softmax", Pass::kForward, scores.elements, e + kSingle);
  list.elementwise("softmax_cast", Pass::kForward, scores.elements, kSingle + e);
}

void eager_softmax_backward(OperatorList& list, const Scores& scores) {
  const Bytes e = list.element();
  list.elementwise("softmax_cast_backward", Pass::kDgrad, scores.elements, e + kSingle);
  list.elementwise("softmax_backward", Pass::kDgrad, scores.elements, 2.0 * kSingle + e);
  list.elementwise("attention_scale_backward", Pass::kDgrad, scores.elements, 2.0 * e);
}

// Megatron's own way where its fused kernel does not take the scores, all in fp32. The scale is the layer's number,
// which the product before was divided by. Source: Megatron-LM, megatron/model/fused_softmax.py, forward_torch_softmax.
void torch_softmax_forward(OperatorList& list, const Scores& scores) {
  const Bytes e = list.element();
  list.elementwise("softmax_to_fp32", Pass::kForward, scores.elements, e + kSingle);
  list.elementwise("attention_scale", Pass::kForward, scores.elements, 2.0 * kSingle);
  list.elementwise("attention_mask", Pass::kForward, scores.elements, 2.0 * kSingle);
  list.elementwise("softmax", Pass::kForward, scores.elements, 2.0 * kSingle);
  list.elementwise("softmax_cast", Pass::kForward, scores.elements, kSingle + e);
}

void torch_softmax_backward(OperatorList& list, const Scores& scores) {
  const Bytes e = list.element();
  list.elementwise("softmax_cast_backward", Pass::kDgrad, scores.elements, e + kSingle);
  list.elementwise("softmax_backward", Pass::kDgrad, scores.elements, 3.0 * kSingle);
  list.elementwise("attention_mask_backward", Pass::kDgrad, scores.elements, 2.0 * kSingle);
  list.elementwise("attention_scale_backward", Pass::kDgrad, scores.elements, 2.0 * kSingle);
  list.elementwise("softmax_from_fp32", Pass::kDgrad, scores.elements, kSingle + e);
}

// The softmax of unfused attention as the framework runs it.
void softmax_forward(OperatorList& list, const Scores& scores) {
  if (list.options().attention == AttentionKernel::kUnfused) {
    eager_softmax_forward(list, scores);
  } else if (softmax_is_fused(list.shape(), list.shard(), list.options())) {
    list.elementwise("softmax", Pass::kForward, scores.elements, (scores_read(list) + 1.0) * list.element());
  } else {
    torch_softmax_forward(list, scores);
  }
}

void softmax_backward(OperatorList& list, const Scores& scores) {
  if (list.options().attention == AttentionKernel::kUnfused) {
    eager_softmax_backward(list, scores);
  } else if (softmax_is_fused(list.shape(), list.shard(), list.options())) {
    list.elementwise("softmax_backward", Pass::kDgrad, scores.elements,
                     (2.0 * scores_read(list) + 1.0) * list.element());
  } else {
    torch_softmax_backward(list, scores);
  }
}

// What is added to the scores, and the tanh that bounds them, outside of fused attention: each a kernel, and the
// learned table's gradient a sum over sequences.
void score_changes_forward(OperatorList& list, const Scores& scores) {
  const Bytes e = list.element();
  if (list.model().positions == Positions::kAlibi || list.model().positions == Positions::kRelative) {
    list.elementwise("position_bias", Pass::kForward, scores.elements, 3.0 * e);
  }
  if (list.model().attention_soft_cap == Presence::kPresent) {
    list.elementwise("attention_soft_cap", Pass::kForward, scores.elements, 2.0 * e);
  }
}

void score_changes_backward(OperatorList& list, const Scores& scores) {
  const Bytes e = list.element();
  if (list.model().attention_soft_cap == Presence::kPresent) {
    list.elementwise("attention_soft_cap", Pass::kDgrad, scores.elements, 3.0 * e);
  }
  if (list.model().positions == Positions::kRelative) {
    list.elementwise("position_bias_gradient", Pass::kWgrad, scores.elements, e);
  }
}

// Copies around the fused kernel: OperatorOptions::attention_copies. The output is copied back into sequence-first
// order only where that differs from what it has.
void attention_copies_forward(OperatorList& list) {
  const Shard& shard = list.shard();
  const Bytes e = list.element();
  constexpr int kMaskLaunches = 6;  // of queries and of keys: zeros, sum, running sum
  list.elementwise("head_transpose", Pass::kForward, shard.tokens * shard.qkv_width(), 2.0 * e);
  list.elementwise("key_value_join", Pass::kForward, shard.tokens * 2 * shard.key_value_width, 2.0 * e);
  list.elementwise("key_value_interleave", Pass::kForward, shard.tokens * 2 * shard.key_value_width, 2.0 * e);
  list.small("sequence_lengths", Pass::kForward, list.shape().micro_batch, kMaskLaunches);
}

void attention_copies_backward(OperatorList& list) {
  const Shard& shard = list.shard();
  const Bytes e = list.element();
  list.elementwise("key_value_split_backward", Pass::kDgrad, shard.tokens * 2 * shard.key_value_width, 2.0 * e);
  list.elementwise("key_value_interleave", Pass::kDgrad, shard.tokens * 2 * shard.key_value_width, 2.0 * e);
  list.elementwise("head_stack", Pass::kDgrad, shard.tokens * shard.qkv_width(), 2.0 * e);
}

// The attention output between batch-first and sequence-first order.
void context_copy(OperatorList& list, Pass pass) {
  const Shard& shard = list.shard();
  if (list.shape().micro_batch > 1) {
    list.elementwise("context_transpose", pass, shard.tokens * shard.query_width, 2.0 * list.element());
  }
}

}  // namespace

Attention flash_attention(const OperatorList& list, Direction direction) {
  const Shard& shard = list.shard();
  const std::int64_t seq_len = list.shape().seq_len;
  const bool windowed = list.kind().span == AttentionSpan::kWindow && list.model().window < seq_len;
  return {.batch = list.shape().micro_batch,
          .heads = shard.heads,
          .kv_heads = list.model().latent ? shard.heads : shard.kv_heads,
          .seq_q = seq_len,
          .seq_kv = seq_len,
          .head_dim = shard.query_width / shard.heads,
          .mask = mask_of(list.model(), list.kind()),
          .direction = direction,
          .precision = list.wide_precision(),
          .value_dim = list.model().latent ? shard.context_width / shard.heads : 0,
          .window = windowed ? list.model().window : 0};
}

bool softmax_is_fused(const ShardShape& shape, const Shard& shard, const OperatorOptions& options) {
  constexpr std::int64_t kMatricesAtOnce = 4;
  constexpr std::int64_t kLongestRow = 4096;
  constexpr std::int64_t kShortestRow = 17;
  const bool is_half = shape.activation_element < kSingle;
  return options.attention == AttentionKernel::kUnfusedSoftmaxFused && is_half && shape.seq_len >= kShortestRow &&
         shape.seq_len <= kLongestRow && shape.seq_len % kMatricesAtOnce == 0 &&
         shape.micro_batch * shard.heads % kMatricesAtOnce == 0;
}

void core_attention_forward(OperatorList& list) {
  if (list.shape().cp > 1) {
    context_attention_forward(list);
    return;
  }
  const bool copies = list.options().attention_copies == Presence::kPresent;
  if (list.options().attention == AttentionKernel::kFlash) {
    if (copies) {
      attention_copies_forward(list);
    }
    list.attention("core_attention", Pass::kForward, flash_attention(list, Direction::kForward));
    if (copies) {
      context_copy(list, Pass::kForward);
    }
    return;
  }
  const Bytes e = list.element();
  const Scores scores = scores_of(list);
  const bool eager = list.options().attention == AttentionKernel::kUnfused;
  expand_keys_and_values(list, scores, Pass::kForward, "key_value_expand");
  if (eager) {
    // [b, s, heads, d] to [b, heads, s, d], contiguous for the batched product.
    for (const std::int64_t elements : {scores.queries, scores.queries, scores.context}) {
      list.elementwise("head_transpose", Pass::kForward, elements, 2.0 * e);
    }
  }
  list.gemm("attention_scores", Pass::kForward, scores.query_key);
  score_changes_forward(list, scores);
  softmax_forward(list, scores);
  if (list.dropout()) {
    list.elementwise("attention_dropout", Pass::kForward, scores.elements, 2.0 * e + kMask);
  }
  list.gemm("attention_context", Pass::kForward, scores.scores_value);
  list.elementwise("context_transpose", Pass::kForward, scores.context, 2.0 * e);
}

void core_attention_backward(OperatorList& list) {
  if (list.shape().cp > 1) {
    context_attention_backward(list);
    return;
  }
  const bool copies = list.options().attention_copies == Presence::kPresent;
  if (list.options().attention == AttentionKernel::kFlash) {
    if (copies) {
      context_copy(list, Pass::kDgrad);
    }
    list.attention("core_attention", Pass::kDgrad, flash_attention(list, Direction::kBackward));
    if (copies) {
      attention_copies_backward(list);
    }
    return;
  }
  const Bytes e = list.element();
  const Scores scores = scores_of(list);
  const bool eager = list.options().attention == AttentionKernel::kUnfused;
  if (eager) {
    list.elementwise("context_transpose", Pass::kDgrad, scores.context, 2.0 * e);
  }
  list.gemm("attention_context", Pass::kDgrad, scores.gradient_value);  // probabilities: output gradient x value^T
  list.gemm("attention_context", Pass::kDgrad, scores.scores_value);    // values
  if (list.dropout()) {
    list.elementwise("attention_dropout_backward", Pass::kDgrad, scores.elements, 2.0 * e + kMask);
  }
  softmax_backward(list, scores);
  score_changes_backward(list, scores);
  list.gemm("attention_scores", Pass::kDgrad, scores.scores_key);  // queries
  list.gemm("attention_scores", Pass::kDgrad, scores.scores_key);  // keys
  if (eager) {
    for (const std::int64_t elements : {scores.queries, scores.queries, scores.context}) {
      list.elementwise("head_transpose", Pass::kDgrad, elements, 2.0 * e);
    }
  } else {
    // The scale that the forward product applied in its epilogue is a kernel of its own here, for queries and for keys.
    // Source: PyTorch derivatives.yaml, baddbmm.
    for (int i = 0; i < 2; ++i) {
      list.elementwise("attention_scale_backward", Pass::kDgrad, scores.queries, 2.0 * e);
    }
  }
  expand_keys_and_values(list, scores, Pass::kDgrad, "key_value_sum");
}

void rotary_forward(OperatorList& list) {
  if (list.model().positions != Positions::kRotary) {
    return;
  }
  const Bytes e = list.element();
  const Shard& shard = list.shard();
  for (const std::int64_t width : {shard.query_width, shard.key_value_width}) {
    const std::int64_t elements = shard.tokens * width;
    if (list.options().rope == Fusion::kOn) {
      list.elementwise("rotary", Pass::kForward, elements, 2.0 * e);
      continue;
    }
    // x cos + rotate_half(x) sin, statement by statement.
    list.elementwise("rotary", Pass::kForward, elements, 2.0 * e);  // x cos
    list.elementwise("rotary", Pass::kForward, elements, e);        // minus the upper half
    list.elementwise("rotary", Pass::kForward, elements, 2.0 * e);  // concatenate the halves
    list.elementwise("rotary", Pass::kForward, elements, 2.0 * e);  // times sin
    list.elementwise("rotary", Pass::kForward, elements, 3.0 * e);  // sum
  }
}

void rotary_backward(OperatorList& list) {
  if (list.model().positions != Positions::kRotary) {
    return;
  }
  const Bytes e = list.element();
  const Shard& shard = list.shard();
  for (const std::int64_t width : {shard.query_width, shard.key_value_width}) {
    const std::int64_t elements = shard.tokens * width;
    if (list.options().rope == Fusion::kOn) {
      list.elementwise("rotary", Pass::kDgrad, elements, 2.0 * e);
      continue;
    }
    list.elementwise("rotary", Pass::kDgrad, elements, 2.0 * e);  // times sin
    list.elementwise("rotary", Pass::kDgrad, elements, e);        // minus one half
    for (int half = 0; half < 2; ++half) {                        // a half's gradient in a tensor of zeros
      list.elementwise("rotary", Pass::kDgrad, elements, e);
      list.elementwise("rotary", Pass::kDgrad, elements, e);
    }
    list.elementwise("rotary", Pass::kDgrad, elements, 3.0 * e);  // sum of the halves
    list.elementwise("rotary", Pass::kDgrad, elements, 2.0 * e);  // times cos
    list.elementwise("rotary", Pass::kDgrad, elements, 3.0 * e);  // sum
  }
}

}  // namespace trainyard
