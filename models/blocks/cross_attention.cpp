// Attention of a decoder to the output of its encoder: queries from the decoder's tokens, keys and values from the
// encoder's. Source: arXiv 1706.03762, section 3.2.3.
#include "models/blocks/attention.hpp"
#include "models/blocks/blocks.hpp"
#include "models/blocks/linear.hpp"

namespace trainyard {
namespace {

Attention kernel(const ShardContext& context, Direction direction) {
  Attention work = flash_attention(context, direction);
  work.seq_kv = context.encoder_seq_len();
  work.mask = Mask::kFull;
  work.window = 0;
  return work;
}

// As unfused attention's, with a softmax of one kernel.
void products(Description& description, const Attention& work) {
  const Bytes e = description.element();
  const std::int64_t matrices = work.batch * work.heads;
  const std::int64_t scores = matrices * work.seq_q * work.seq_kv;
  const auto product = [&](std::int64_t m, std::int64_t n, std::int64_t k) {
    return Gemm{.m = m, .n = n, .k = k, .batch = matrices, .precision = work.precision};
  };
  const Gemm query_key = product(work.seq_q, work.seq_kv, work.head_dim);
  const Gemm scores_value = product(work.seq_q, work.head_dim, work.seq_kv);
  const Gemm transposed = product(work.seq_kv, work.head_dim, work.seq_q);
  description.step({.forward = [=](OperatorList& list) { list.gemm("cross_scores", Pass::kForward, query_key); },
                    .backward =
                        [=](OperatorList& list) {
                          list.gemm("cross_scores", Pass::kDgrad, scores_value);  // queries
                          list.gemm("cross_scores", Pass::kDgrad, transposed);    // keys
                        }});
  description.elementwise(scores, {"softmax", 2.0 * e}, {"softmax_backward", 3.0 * e});
  description.keep("cross_softmax_output", scores, e);
  if (description.dropout()) {
    description.elementwise(scores, {"attention_dropout", 2.0 * e + kMask},
                            {"attention_dropout_backward", 2.0 * e + kMask});
    description.keep("cross_dropout_mask", scores, kMask);
    description.keep("cross_probabilities", scores, e);
  }
  description.step({.forward = [=](OperatorList& list) { list.gemm("cross_context", Pass::kForward, scores_value); },
                    .backward =
                        [=](OperatorList& list) {
                          list.gemm("cross_context", Pass::kDgrad, query_key);   // probabilities
                          list.gemm("cross_context", Pass::kDgrad, transposed);  // values
                        }});
}

void core(Description& description) {
  const Attention forward = kernel(description, Direction::kForward);
  const Attention backward = kernel(description, Direction::kBackward);
  description.products(multiply_adds(forward));
  const auto scope = description.repeated_by(RecomputeModule::kCoreAttention);
  if (description.options().attention != AttentionKernel::kFlash) {
    products(description, forward);
    return;
  }
  description.step(
      {.forward = [=](OperatorList& list) { list.attention("cross_attention", Pass::kForward, forward); },
       .backward = [=](OperatorList& list) { list.attention("cross_attention", Pass::kDgrad, backward); }});
  description.keep("cross_statistics", description.shard().tokens * description.shard().heads, kSingle);
}

}  // namespace

// The encoder's output is kept once for all layers, by the last encoder layer.
Presence cross_attention(Description& description, const Tensor& input) {
  const Shard& shard = description.shard();
  const std::int64_t hidden = description.model().hidden;
  const Presence bias = description.model().qkv_bias;
  // The description's own sequence is the decoder's; the model's encoder has the length that the scenario asked for.
  const std::int64_t encoder_tokens = description.shape().micro_batch * description.encoder_seq_len();
  linear(description, {.name = "cross_query", .in = hidden, .outputs = {shard.query_width}, .bias = bias},
         Cut::kColumns, shard.tokens, input);
  // Every decoder layer adds to the gradient of the encoder's output.
  const std::int64_t rows = divide_up(encoder_tokens, description.sequence_parallel() ? description.shape().tp : 1);
  description.step({.forward = {}, .backward = [=](OperatorList& list) {
                      list.elementwise("encoder_gradient_add", Pass::kDgrad, rows * hidden, 3.0 * list.element());
                    }});
  linear(description, {.name = "cross_key_value", .in = hidden, .outputs = {2 * shard.key_value_width}, .bias = bias},
         Cut::kColumns, encoder_tokens, {});
  const Bytes e = description.element();
  description.keep("cross_queries", shard.tokens * shard.query_width, e);
  description.keep("cross_keys", encoder_tokens * shard.key_value_width, e);
  description.keep("cross_values", encoder_tokens * shard.key_value_width, e);
  core(description);
  attention_output(description, "cross_output", "cross_output_adapter",
                   context_tensor(description, "cross_output_input", "cross_output_operand"));
  return description.model().output_bias();
}

}  // namespace trainyard
