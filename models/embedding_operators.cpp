// Token, position and segment embeddings, or projected patches, of the first stage.
#include "models/operator_list.hpp"

namespace trainyard {
namespace {

// Megatron adds position and segment tables after it has the full tokens, so only models without them can scatter the
// token embeddings over the sequence. Source: Megatron-LM, core/models/common/embeddings/language_model_embedding.py,
// reduce_scatter_embeddings.
bool scatters_embedding(const OperatorList& list) {
  return list.sequence_parallel() && list.model().positions != Positions::kLearned && list.model().token_types == 0;
}

int added_tables(const ModelSpec& model) {
  return (model.positions == Positions::kLearned ? 1 : 0) + (model.token_types > 0 ? 1 : 0);
}

// A table's gradient: cleared, the token indices sorted, rows added, and accumulated. Source: PyTorch,
// aten/src/ATen/native/cuda/Embedding.cu (sort by key, then one kernel over the sorted indices).
void table_gradient(OperatorList& list, std::int64_t rows) {
  constexpr int kSortLaunches = 5;
  const Bytes e = list.residual_element();
  const std::int64_t table = rows * list.model().hidden;
  list.elementwise("embedding_gradient_clear", Pass::kWgrad, table, e);
  list.small("embedding_index_sort", Pass::kWgrad, list.shard().tokens, kSortLaunches);
  list.elementwise("embedding_gradient", Pass::kWgrad, list.shard().tokens * list.model().hidden, 2.0 * e);
  list.accumulate_gradient(table);
}

void tokens_forward(OperatorList& list) {
  const ModelSpec& model = list.model();
  const Bytes e = list.residual_element();
  const Shard& shard = list.shard();
  const std::int64_t elements = shard.tokens * model.hidden;
  if (list.tensor_parallel()) {
    // Which tokens are in this rank's part of the vocabulary: two comparisons, their union, shift, masked fill.
    list.small("vocabulary_mask", Pass::kForward, shard.tokens, 5);
  }
  list.elementwise("token_embedding", Pass::kForward, elements, 2.0 * e);
  if (list.tensor_parallel()) {
    list.elementwise("vocabulary_mask", Pass::kForward, elements, 2.0 * e);  // zeros for the other ranks' tokens
  }
  list.collective(scatters_embedding(list) ? CollectiveOp::kReduceScatter : CollectiveOp::kAllReduce, Pass::kForward,
                  list.hidden_tensor());
  for (int i = 0; i < added_tables(model); ++i) {
    list.elementwise("position_embedding", Pass::kForward, elements, 2.0 * e);
    list.elementwise("position_add", Pass::kForward, elements, 3.0 * e);
  }
  if (model.embedding_norm == Presence::kPresent) {
    list.norm_forward("embedding_norm");
  }
  if (list.dropout()) {
    list.elementwise("embedding_dropout", Pass::kForward, shard.token_shard * model.hidden, 2.0 * e + Bytes{1.0});
  }
}

void tokens_backward(OperatorList& list) {
  const ModelSpec& model = list.model();
  const Bytes e = list.residual_element();
  const Shard& shard = list.shard();
  if (list.dropout()) {
    list.elementwise("dropout_backward", Pass::kDgrad, shard.token_shard * model.hidden, 2.0 * e + Bytes{1.0});
  }
  if (model.embedding_norm == Presence::kPresent) {
    list.norm_backward("embedding_norm");
  }
  if (list.sequence_parallel()) {
    list.collective(CollectiveOp::kAllGather, Pass::kDgrad, list.hidden_tensor());
  }
  if (model.positions == Positions::kLearned) {
    table_gradient(list, model.seq_len);
  }
  if (model.token_types > 0) {
    table_gradient(list, model.token_types);
  }
  if (list.tensor_parallel()) {
    list.elementwise("vocabulary_mask", Pass::kDgrad, shard.tokens * model.hidden, 2.0 * e);
  }
  table_gradient(list, shard.vocab);
}

// Patches of pixels are projected; the class token and the positions join them.
Linear patch_projection(const OperatorList& list) {
  return {.name = "patch_projection",
          .in = list.model().vision->patch_inputs,
          .outputs = {list.model().hidden},
          .bias = Presence::kPresent};
}

std::int64_t patches(const OperatorList& list) {
  return list.shape().micro_batch * (list.shape().seq_len - 1);
}

void image_forward(OperatorList& list) {
  const Bytes e = list.element();
  const std::int64_t elements = list.shard().tokens * list.model().hidden;
  list.elementwise("patch_copy", Pass::kForward, patches(list) * list.model().vision->patch_inputs, 2.0 * e);
  list.local_forward(patch_projection(list), patches(list));
  list.elementwise("class_token_concat", Pass::kForward, elements, 2.0 * e);
  list.elementwise("position_add", Pass::kForward, elements, 2.0 * e);
}

// Pixels need no gradient.
void image_backward(OperatorList& list) {
  const std::int64_t elements = list.shard().tokens * list.model().hidden;
  list.elementwise("position_gradient", Pass::kWgrad, elements, list.element());
  list.accumulate_gradient(list.model().seq_len * list.model().hidden);
  const Gemm gradient{.m = list.model().hidden,
                      .n = list.model().vision->patch_inputs,
                      .k = patches(list),
                      .precision = list.wide_precision()};
  list.gemm("patch_projection", Pass::kWgrad, gradient);
  list.accumulate_gradient(gradient.m * gradient.n);
}

// The stacks that have embeddings of their own tokens: encoder and decoder, or the only one.
std::vector<LayerKind> embedded_stacks(const ModelSpec& model) {
  if (model.encoder_layers > 0) {
    return {{.stack = Stack::kEncoder}, {.stack = Stack::kDecoder}};
  }
  return {{}};
}

}  // namespace

std::vector<Operator> embedding_forward(const ModelSpec& model, const ShardShape& shape,
                                        const OperatorOptions& options) {
  std::vector<Operator> operators;
  for (const LayerKind& stack : embedded_stacks(model)) {
    OperatorList list(model, shape, options, stack);
    list.append(std::move(operators));
    model.vision ? image_forward(list) : tokens_forward(list);
    operators = list.take();
  }
  return operators;
}

std::vector<Operator> embedding_backward(const ModelSpec& model, const ShardShape& shape,
                                         const OperatorOptions& options) {
  std::vector<Operator> operators;
  for (const LayerKind& stack : embedded_stacks(model)) {
    OperatorList list(model, shape, options, stack);
    list.append(std::move(operators));
    model.vision ? image_backward(list) : tokens_backward(list);
    operators = list.take();
  }
  return operators;
}

}  // namespace trainyard
