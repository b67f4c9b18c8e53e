// One transformer layer: norm, attention, residual; norm, MLP or experts, residual.
#include "models/expert_tokens.hpp"
#include "models/operator_list.hpp"

namespace trainyard {
namespace {

Linear qkv(const OperatorList& list) {
  const Shard& shard = list.shard();
  const bool merged = list.options().merged_projections == Fusion::kOn;
  return {.name = "qkv",
          .in = list.model().hidden,
          .outputs = merged ? std::vector{shard.qkv_width()}
                            : std::vector{shard.query_width, shard.key_value_width, shard.key_value_width},
          .bias = list.model().qkv_bias,
          .module = Module::kQkv};
}

// Whose kernel adds the bias after a row-parallel linear: the linear's own, or the fused bias-dropout-add.
Presence own_bias(const OperatorList& list, Presence bias) {
  return list.options().bias_dropout_add == Fusion::kOn ? Presence::kAbsent : bias;
}

Linear attention_output(const OperatorList& list) {
  return {.name = "attention_output",
          .in = list.shard().context_width,
          .outputs = {list.model().hidden},
          .bias = own_bias(list, list.model().output_bias()),
          .module = Module::kAttentionOutput};
}

Linear mlp_up(const OperatorList& list, std::int64_t width) {
  const bool merged = list.options().merged_projections == Fusion::kOn;
  return {.name = "mlp_up",
          .in = list.model().hidden,
          .outputs = !list.model().gated() ? std::vector{width}
                     : merged              ? std::vector{2 * width}
                                           : std::vector{width, width},
          .bias = list.options().bias_gelu == Fusion::kOn ? Presence::kAbsent : list.model().linear_bias,
          .module = Module::kMlpUp};
}

Linear mlp_down(const OperatorList& list, std::int64_t width) {
  return {.name = "mlp_down",
          .in = width,
          .outputs = {list.model().hidden},
          .bias = own_bias(list, list.model().linear_bias),
          .module = Module::kMlpDown};
}

// Views of the merged QKV tensor go back into one tensor before the projection's backward.
void merge_qkv_gradients(OperatorList& list) {
  if (list.options().merged_projections == Fusion::kOn) {
    list.elementwise("qkv_gradient_concat", Pass::kDgrad, list.shard().tokens * list.shard().qkv_width(),
                     2.0 * list.element());
  }
}

// Norms of queries and keys, over each head or over all.
void query_key_norm(OperatorList& list, Pass pass) {
  if (list.model().query_key_norm == Presence::kAbsent) {
    return;
  }
  const Shard& shard = list.shard();
  const bool per_head = list.model().query_key_norm_span == NormSpan::kHead;
  const std::int64_t queries = per_head ? shard.heads : 1;  // norms of a token
  const std::int64_t keys = per_head ? shard.kv_heads : 1;
  if (pass == Pass::kForward) {
    list.norm_forward("query_norm", shard.tokens * queries, shard.query_width / queries);
    list.norm_forward("key_norm", shard.tokens * keys, shard.key_value_width / keys);
  } else {
    list.norm_backward("key_norm", shard.tokens * keys, shard.key_value_width / keys);
    list.norm_backward("query_norm", shard.tokens * queries, shard.query_width / queries);
  }
}

void projections_forward(OperatorList& list) {
  if (list.model().latent) {
    latent_projections_forward(list);
    return;
  }
  list.column_forward(qkv(list));
  query_key_norm(list, Pass::kForward);
  rotary_forward(list);
}

void projections_backward(OperatorList& list) {
  if (list.model().latent) {
    latent_projections_backward(list);
    return;
  }
  rotary_backward(list);
  query_key_norm(list, Pass::kDgrad);
  merge_qkv_gradients(list);
  list.column_backward(qkv(list));
}

void attention_norm_forward(OperatorList& list) {
  if (list.model().has_attention_norm()) {
    list.norm_forward("attention_norm");
  }
}

void mlp_norm_forward(OperatorList& list) {
  if (list.model().has_mlp_norm()) {
    list.norm_forward("mlp_norm");
  }
}

void post_norm(OperatorList& list, std::string_view name, Pass pass) {
  if (list.model().post_norms == Presence::kPresent) {
    pass == Pass::kForward ? list.norm_forward(name) : list.norm_backward(name);
  }
}

bool has_experts(const OperatorList& list) {
  return list.kind().feed_forward == FeedForward::kExperts;
}

// The bias that the residual's kernel adds after the second half of a layer.
Presence feed_forward_bias(const OperatorList& list) {
  return has_experts(list) ? Presence::kAbsent : list.model().linear_bias;
}

}  // namespace

void activation_forward(OperatorList& list, std::int64_t rows, std::int64_t width) {
  const Bytes e = list.element();
  const std::int64_t elements = rows * width;
  const Activation activation = list.model().activation;
  if (!list.model().gated()) {
    list.elementwise(activation == Activation::kRelu ? "relu" : "gelu", Pass::kForward, elements, 2.0 * e);
  } else if (list.options().bias_gelu == Fusion::kOn) {
    list.elementwise(activation == Activation::kGeGlu ? "geglu" : "swiglu", Pass::kForward, elements, 3.0 * e);
  } else {
    list.elementwise(activation == Activation::kGeGlu ? "gelu" : "silu", Pass::kForward, elements, 2.0 * e);
    list.elementwise("gate_multiply", Pass::kForward, elements, 3.0 * e);
  }
}

void activation_backward(OperatorList& list, std::int64_t rows, std::int64_t width, Presence bias) {
  const Bytes e = list.element();
  const bool fused = list.options().bias_gelu == Fusion::kOn;
  const std::int64_t elements = rows * width;
  const std::int64_t inputs = list.model().gated() ? 2 : 1;
  const Activation activation = list.model().activation;
  if (!list.model().gated()) {
    list.elementwise(activation == Activation::kRelu ? "relu_backward" : "gelu_backward", Pass::kDgrad, elements,
                     3.0 * e);
  } else if (fused) {
    // Reads gate, up, gradient; writes two.
    list.elementwise(activation == Activation::kGeGlu ? "geglu_backward" : "swiglu_backward", Pass::kDgrad, elements,
                     5.0 * e);
  } else {
    list.elementwise("gate_multiply_backward", Pass::kDgrad, elements, 3.0 * e);
    list.elementwise("gate_multiply_backward", Pass::kDgrad, elements, 3.0 * e);
    list.elementwise(activation == Activation::kGeGlu ? "gelu_backward" : "silu_backward", Pass::kDgrad, elements,
                     3.0 * e);
    if (list.options().merged_projections == Fusion::kOn) {
      list.elementwise("gate_up_gradient_concat", Pass::kDgrad, elements, 4.0 * e);
    }
  }
  if (fused && bias == Presence::kPresent) {
    // Autograd reduces the gradient of the bias that the fused kernel added.
    list.elementwise("bias_gradient", Pass::kWgrad, inputs * elements, e);
    list.accumulate_gradient(inputs * width);
  }
}

void mlp_forward(OperatorList& list, std::int64_t width) {
  list.column_forward(mlp_up(list, width));
  activation_forward(list, list.shard().tokens, width);
  list.row_forward(mlp_down(list, width));
}

void mlp_backward(OperatorList& list, std::int64_t width) {
  list.row_backward(mlp_down(list, width));
  activation_backward(list, list.shard().tokens, width, list.model().linear_bias);
  list.column_backward(mlp_up(list, width));
}

std::vector<Operator> layer_forward(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape,
                                    const OperatorOptions& options) {
  OperatorList list(model, shape, options, kind);
  attention_norm_forward(list);
  projections_forward(list);
  core_attention_forward(list);
  list.row_forward(attention_output(list));
  post_norm(list, "attention_post_norm", Pass::kForward);
  list.bias_dropout_add_forward(model.output_bias());
  if (kind.stack == Stack::kDecoder) {
    cross_attention_forward(list);
  }
  mlp_norm_forward(list);
  has_experts(list) ? experts_forward(list) : mlp_forward(list, list.shard().ffn);
  post_norm(list, "mlp_post_norm", Pass::kForward);
  list.bias_dropout_add_forward(feed_forward_bias(list));
  return list.take();
}

// What is repeated in front of the backward list, in forward order. Norms alone feed the linears that follow them, so
// they are repeated as kernels, not with what they normalise.
std::vector<Operator> layer_recompute(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape,
                                      const OperatorOptions& options, const RecomputePlan& plan) {
  if (plan.granularity == Recompute::kFull) {
    return layer_forward(model, kind, shape, options);
  }
  OperatorList list(model, shape, options, kind);
  if (plan.has(RecomputeModule::kNorm)) {
    attention_norm_forward(list);
    mlp_norm_forward(list);
  }
  if (plan.has(RecomputeModule::kLatentUp) && model.latent) {
    latent_up_forward(list);
  }
  if (plan.has(RecomputeModule::kCoreAttention)) {
    core_attention_forward(list);
  }
  const bool experts = has_experts(list);
  const bool whole = plan.has(experts ? RecomputeModule::kExperts : RecomputeModule::kMlp);
  if (whole) {
    experts ? experts_forward(list) : mlp_forward(list, list.shard().ffn);
  } else if (plan.has(RecomputeModule::kActivation)) {
    if (experts) {
      const ExpertTokens tokens = expert_tokens(list);
      activation_forward(list, tokens.computed, divide_up(model.experts->ffn, shape.expert_tp));
    } else {
      activation_forward(list, list.shard().tokens, list.shard().ffn);
    }
  }
  return list.take();
}

std::vector<Operator> layer_backward(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape,
                                     const OperatorOptions& options) {
  OperatorList list(model, shape, options, kind);
  list.bias_dropout_add_backward(feed_forward_bias(list));
  post_norm(list, "mlp_post_norm", Pass::kDgrad);
  has_experts(list) ? experts_backward(list) : mlp_backward(list, list.shard().ffn);
  if (model.has_mlp_norm()) {
    list.norm_backward("mlp_norm");
  }
  list.residual_gradient_add();
  if (kind.stack == Stack::kDecoder) {
    cross_attention_backward(list);
  }
  list.bias_dropout_add_backward(model.output_bias());
  post_norm(list, "attention_post_norm", Pass::kDgrad);
  list.row_backward(attention_output(list));
  core_attention_backward(list);
  projections_backward(list);
  if (model.has_attention_norm()) {
    list.norm_backward("attention_norm");
  }
  list.residual_gradient_add();
  return list.take();
}

}  // namespace trainyard
