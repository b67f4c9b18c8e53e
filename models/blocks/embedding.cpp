// Token, position and segment embeddings, or projected patches, of the first stage.
#include "models/blocks/ends.hpp"
#include "models/blocks/linear.hpp"
#include "models/blocks/norm.hpp"

namespace trainyard {
namespace {

// Megatron adds position and segment tables after it has the full tokens, so only models without them can scatter the
// token embeddings over the sequence. Source: Megatron-LM, core/models/common/embeddings/language_model_embedding.py,
// reduce_scatter_embeddings.
bool scatters_embedding(const ShardContext& context) {
  return context.sequence_parallel() && context.model().positions != Positions::kLearned &&
         context.model().token_types == 0;
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

// A table of `rows`, cut by rows over tensor-parallel ranks.
void token_table(Description& description) {
  const std::int64_t rows = description.shard().vocab;
  const std::int64_t elements = description.shard().tokens * description.model().hidden;
  description.step({.forward =
                        [=](OperatorList& list) {
                          const std::int64_t tokens = list.shard().tokens;
                          const Bytes e = list.residual_element();
                          if (list.tensor_parallel()) {
                            // Which tokens are in this rank's part of the vocabulary: two comparisons, their union,
                            // shift, masked fill.
                            list.small("vocabulary_mask", Pass::kForward, tokens, 5);
                          }
                          list.elementwise("token_embedding", Pass::kForward, elements, 2.0 * e);
                          if (list.tensor_parallel()) {
                            // Zeros for the other ranks' tokens.
                            list.elementwise("vocabulary_mask", Pass::kForward, elements, 2.0 * e);
                          }
                        },
                    .backward =
                        [=](OperatorList& list) {
                          if (list.tensor_parallel()) {
                            list.elementwise("vocabulary_mask", Pass::kDgrad, elements, 2.0 * list.residual_element());
                          }
                          table_gradient(list, rows);
                        }});
  if (description.kind().stack != Stack::kDecoder) {  // which has its encoder's table
    description.weight({.elements = rows * description.model().hidden});
  }
}

// A table whose rows are added to the tokens': of positions, or of segments.
void added_table(Description& description, std::int64_t rows, std::int64_t spare_rows) {
  const std::int64_t elements = description.shard().tokens * description.model().hidden;
  description.step({.forward =
                        [=](OperatorList& list) {
                          const Bytes e = list.residual_element();
                          list.elementwise("position_embedding", Pass::kForward, elements, 2.0 * e);
                          list.elementwise("position_add", Pass::kForward, elements, 3.0 * e);
                        },
                    .backward = [=](OperatorList& list) { table_gradient(list, rows); }});
  description.weight({.elements = (rows + spare_rows) * description.model().hidden});
}

void embedded_tokens(Description& description) {
  const ModelSpec& model = description.model();
  const Bytes e = description.residual_element();
  token_table(description);
  description.step({.forward =
                        [](OperatorList& list) {
                          list.collective(
                              scatters_embedding(list) ? CollectiveOp::kReduceScatter : CollectiveOp::kAllReduce,
                              Pass::kForward, list.hidden_tensor());
                        },
                    .backward = {}});
  if (model.token_types > 0) {
    added_table(description, model.token_types, 0);
  }
  if (model.positions == Positions::kLearned) {
    added_table(description, model.seq_len, model.spare_positions);
  }
  // Whether the sum or what comes after it has cut the sequence.
  description.step({.forward = {}, .backward = [](OperatorList& list) {
                      if (list.sequence_parallel()) {
                        list.collective(CollectiveOp::kAllGather, Pass::kDgrad, list.hidden_tensor());
                      }
                    }});
  if (model.embedding_norm == Presence::kPresent) {
    hidden_norm(description, "embedding_norm", "embedding_norm_input");
  }
  if (description.dropout()) {
    description.elementwise(description.hidden_shard(), {"embedding_dropout", 2.0 * e + kMask},
                            {"dropout_backward", 2.0 * e + kMask});
    description.keep("embedding_dropout_mask", description.hidden_shard(), kMask);
  }
}

// Patches of pixels are projected; the class token and the positions join them. Pixels need no gradient.
void embedded_patches(Description& description) {
  const ModelSpec& model = description.model();
  const std::int64_t patches = description.shape().micro_batch * (description.shape().seq_len - 1);
  const std::int64_t inputs = model.vision->patch_inputs;
  const std::int64_t matrix = inputs * model.hidden;
  const std::int64_t elements = description.shard().tokens * model.hidden;
  description.step({.forward =
                        [=](OperatorList& list) {
                          list.elementwise("patch_copy", Pass::kForward, patches * inputs, 2.0 * list.element());
                          local_linear_forward(list,
                                               {.name = "patch_projection",
                                                .in = inputs,
                                                .outputs = {list.model().hidden},
                                                .bias = Presence::kPresent},
                                               patches);
                        },
                    .backward =
                        [=](OperatorList& list) {
                          const Gemm gradient{
                              .m = list.model().hidden, .n = inputs, .k = patches, .precision = list.wide_precision()};
                          list.gemm("patch_projection", Pass::kWgrad, gradient);
                          list.accumulate_gradient(matrix);
                        }});
  description.keep("patches", patches * inputs, operand_element(description));
  description.weight({.elements = matrix, .multiplied = static_cast<double>(matrix), .tokens = patches});
  description.weight({.elements = 2 * model.hidden, .tensors = 2});  // the projection's bias, the class token
  description.step({.forward =
                        [=](OperatorList& list) {
                          list.elementwise("class_token_concat", Pass::kForward, elements, 2.0 * list.element());
                          list.elementwise("position_add", Pass::kForward, elements, 2.0 * list.element());
                        },
                    .backward =
                        [=](OperatorList& list) {
                          list.elementwise("position_gradient", Pass::kWgrad, elements, list.element());
                          list.accumulate_gradient(list.model().seq_len * list.model().hidden);
                        }});
  if (model.positions == Positions::kLearned) {
    description.weight({.elements = (model.seq_len + model.spare_positions) * model.hidden});
  }
}

// The stacks that have embeddings of their own tokens.
std::vector<LayerKind> embedded_stacks(const ModelSpec& model) {
  if (model.network) {
    return {};  // its first unit reads the samples
  }
  if (model.encoder_layers > 0) {
    return {{.stack = Stack::kEncoder}, {.stack = Stack::kDecoder}};
  }
  return {{}};
}

// Beside adapters no embedding trains, and nothing before it asks for a gradient: it has no backward pass.
bool is_frozen(const ModelSpec& model) {
  return model.adapters.has_value();
}

template <class List>
std::vector<Operator> joined(const ModelSpec& model, const ShardShape& shape, const OperatorOptions& options,
                             const List& list) {
  std::vector<Operator> out;
  for (const Description& description : embedding_descriptions(model, shape, options)) {
    const std::vector<Operator> operators = list(description);
    out.insert(out.end(), operators.begin(), operators.end());
  }
  return out;
}

}  // namespace

std::vector<Description> embedding_descriptions(const ModelSpec& model, const ShardShape& shape,
                                                const OperatorOptions& options) {
  std::vector<Description> out;
  for (const LayerKind& stack : embedded_stacks(model)) {
    Description& description = out.emplace_back(ShardContext(model, shape, options, stack));
    model.vision ? embedded_patches(description) : embedded_tokens(description);
    if (model.positions == Positions::kRelative) {
      // One table of relative positions for all layers of the stack.
      description.weight({.elements = model.relative_buckets * model.heads});
    }
  }
  return out;
}

std::vector<Operator> embedding_forward(const ModelSpec& model, const ShardShape& shape,
                                        const OperatorOptions& options) {
  return joined(model, shape, options, [](const Description& description) { return description.forward(); });
}

std::vector<Operator> embedding_backward(const ModelSpec& model, const ShardShape& shape,
                                         const OperatorOptions& options) {
  if (is_frozen(model)) {
    return {};
  }
  return joined(model, shape, options, [](const Description& description) { return description.backward(); });
}

std::vector<ActivationTerm> embedding_activation_bytes(const ModelSpec& model, const ShardShape& shape,
                                                       const OperatorOptions& options) {
  std::vector<ActivationTerm> out;
  if (is_frozen(model)) {
    return out;
  }
  for (const Description& description : embedding_descriptions(model, shape, options)) {
    const std::vector<ActivationTerm> terms = description.kept(Recompute::kNone);
    out.insert(out.end(), terms.begin(), terms.end());
  }
  return out;
}

}  // namespace trainyard
