// Attention of a decoder to the output of its encoder: queries from the decoder's tokens, keys and values from the
// encoder's. Source: arXiv 1706.03762, section 3.2.3.
#include "models/operator_list.hpp"

namespace trainyard {
namespace {

std::int64_t encoder_tokens(const OperatorList& list) {
  // The list's own sequence is the decoder's; the model's encoder has the length that the scenario asked for.
  return list.shape().micro_batch * list.encoder_seq_len();
}

Linear query(const OperatorList& list) {
  return {.name = "cross_query",
          .in = list.model().hidden,
          .outputs = {list.shard().query_width},
          .bias = list.model().qkv_bias};
}

Linear key_value(const OperatorList& list) {
  return {.name = "cross_key_value",
          .in = list.model().hidden,
          .outputs = {2 * list.shard().key_value_width},
          .bias = list.model().qkv_bias};
}

Linear output(const OperatorList& list) {
  const bool fused = list.options().bias_dropout_add == Fusion::kOn;
  return {.name = "cross_output",
          .in = list.shard().context_width,
          .outputs = {list.model().hidden},
          .bias = fused ? Presence::kAbsent : list.model().output_bias()};
}

Attention kernel(const OperatorList& list, Direction direction) {
  Attention work = flash_attention(list, direction);
  work.seq_kv = list.encoder_seq_len();
  work.mask = Mask::kFull;
  work.window = 0;
  return work;
}

struct Products {
  std::int64_t scores = 0;
  Gemm query_key{};
  Gemm scores_value{};
  Gemm transposed{};
};

Products products(const OperatorList& list) {
  const Attention work = kernel(list, Direction::kForward);
  const std::int64_t matrices = work.batch * work.heads;
  return {.scores = matrices * work.seq_q * work.seq_kv,
          .query_key =
              {.m = work.seq_q, .n = work.seq_kv, .k = work.head_dim, .batch = matrices, .precision = work.precision},
          .scores_value =
              {.m = work.seq_q, .n = work.head_dim, .k = work.seq_kv, .batch = matrices, .precision = work.precision},
          .transposed = {
              .m = work.seq_kv, .n = work.head_dim, .k = work.seq_q, .batch = matrices, .precision = work.precision}};
}

}  // namespace

void cross_attention_forward(OperatorList& list) {
  const Bytes e = list.element();
  list.norm_forward("cross_norm");
  list.column_forward(query(list));
  list.column_forward(key_value(list), encoder_tokens(list));
  if (list.options().attention == AttentionKernel::kFlash) {
    list.attention("cross_attention", Pass::kForward, kernel(list, Direction::kForward));
  } else {
    const Products work = products(list);
    list.gemm("cross_scores", Pass::kForward, work.query_key);
    list.elementwise("softmax", Pass::kForward, work.scores, 2.0 * e);
    if (list.dropout()) {
      list.elementwise("attention_dropout", Pass::kForward, work.scores, 2.0 * e + Bytes{1.0});
    }
    list.gemm("cross_context", Pass::kForward, work.scores_value);
  }
  list.row_forward(output(list));
  list.bias_dropout_add_forward(list.model().output_bias());
}

void cross_attention_backward(OperatorList& list) {
  const Bytes e = list.element();
  list.bias_dropout_add_backward(list.model().output_bias());
  list.row_backward(output(list));
  if (list.options().attention == AttentionKernel::kFlash) {
    list.attention("cross_attention", Pass::kDgrad, kernel(list, Direction::kBackward));
  } else {
    const Products work = products(list);
    list.gemm("cross_context", Pass::kDgrad, work.query_key);   // probabilities
    list.gemm("cross_context", Pass::kDgrad, work.transposed);  // values
    if (list.dropout()) {
      list.elementwise("attention_dropout_backward", Pass::kDgrad, work.scores, 2.0 * e + Bytes{1.0});
    }
    list.elementwise("softmax_backward", Pass::kDgrad, work.scores, 3.0 * e);
    list.gemm("cross_scores", Pass::kDgrad, work.scores_value);  // queries
    list.gemm("cross_scores", Pass::kDgrad, work.transposed);    // keys
  }
  list.column_backward(key_value(list), encoder_tokens(list));
  // Every decoder layer adds to the gradient of the encoder's output.
  list.elementwise(
      "encoder_gradient_add", Pass::kDgrad,
      divide_up(encoder_tokens(list), list.sequence_parallel() ? list.shape().tp : 1) * list.model().hidden, 3.0 * e);
  list.column_backward(query(list));
  list.norm_backward("cross_norm");
  list.residual_gradient_add();
}

}  // namespace trainyard
