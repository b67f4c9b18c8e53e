#include "models/activations.hpp"

#include "models/expert_tokens.hpp"
#include "models/operator_list.hpp"

namespace trainyard {
namespace {

constexpr Bytes kSingle{4.0};
constexpr Bytes kMask{1.0};  // a dropout mask is one byte per element

class Terms {
 public:
  Terms(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape, const OperatorOptions& options,
        const RecomputePlan& recompute)
      : model_(model),
        kind_(kind),
        shape_(shape_of(model, kind, shape)),
        options_(options),
        recompute_(recompute),
        shard_(model, shape_),
        encoder_seq_len_(shape.local_seq_len()),
        element_(shape.activation_element),
        // A linear keeps its input as its wgrad GEMM reads it, with the scales of its blocks.
        operand_(min(shape.activation_element,
                     bytes_per_element(shape.precision) + scale_bytes_per_element(shape.precision))) {}

  void keep(std::string_view name, std::int64_t elements, Bytes bytes_per_element) {
    if (elements > 0 && bytes_per_element > Bytes{}) {
      terms_.push_back({.name = name, .bytes = static_cast<double>(elements) * bytes_per_element});
    }
  }
  void norm(std::string_view name) {
    const bool eager_rms = model_.normalization == Normalization::kRmsNorm && options_.norm == Fusion::kOff;
    // Eager RMSNorm keeps its input in fp32 and the normalised input that the weight multiplies.
    keep(name, hidden_shard(), eager_rms ? kSingle + element_ : residual());
  }
  void dropout_mask(std::string_view name) {
    keep(name, hidden_shard(), model_.dropout == Presence::kPresent ? kMask : Bytes{});
  }
  // The input of a linear, unless its weights are frozen and have no adapter that needs it.
  void linear_input(std::string_view name, std::int64_t elements, Module module) {
    if (!model_.adapters || model_.adapters->has(module)) {
      keep(name, elements, operand_);
    }
  }
  void adapter(std::string_view name, std::int64_t rows, Module module) {
    if (model_.adapters && model_.adapters->has(module)) {
      keep(name, rows * model_.adapters->rank, element_);
    }
  }
  void attention_inputs();
  void core_attention();
  void cross_attention();
  void mlp(std::int64_t rows, std::int64_t width);
  void experts();

  bool recomputes(RecomputeModule module) const { return recompute_.has(module); }

  std::int64_t hidden_shard() const { return shard_.token_shard * model_.hidden; }
  const Shard& shard() const { return shard_; }
  Bytes element() const { return element_; }
  Bytes residual() const { return residual_element(shape_); }
  // 16-bit copies of wider weights, which the backward pass reads again.
  void cast_weights(const ParameterShare& share) {
    keep("cast_weights", share.total(), is_autocast(shape_) ? element_ : Bytes{});
  }
  Bytes operand() const { return operand_; }
  std::vector<ActivationTerm> take() { return std::move(terms_); }

 private:
  // Shared sequences always go through fused kernels.
  bool flash() const { return options_.attention == AttentionKernel::kFlash || shape_.cp > 1; }

  const ModelSpec& model_;
  LayerKind kind_;
  ShardShape shape_;
  const OperatorOptions& options_;
  const RecomputePlan& recompute_;
  Shard shard_;
  std::int64_t encoder_seq_len_;
  Bytes element_;
  Bytes operand_;
  std::vector<ActivationTerm> terms_;
};

void Terms::attention_inputs() {
  if (!recomputes(RecomputeModule::kNorm)) {
    linear_input("qkv_input", hidden_shard(), Module::kQkv);
  }
  adapter("qkv_adapter", shard_.tokens, Module::kQkv);
  if (!model_.latent) {
    if (model_.query_key_norm == Presence::kPresent) {
      keep("query_norm_input", shard_.tokens * shard_.query_width, element_);
      keep("key_norm_input", shard_.tokens * shard_.key_value_width, element_);
    }
    return;
  }
  // Inputs of the two norms and of the projections after them, of this rank's tokens.
  const LatentAttention& latent = *model_.latent;
  if (latent.query_rank > 0) {
    keep("query_norm_input", shard_.token_shard * latent.query_rank, element_);
    keep("query_up_input", shard_.token_shard * latent.query_rank, operand_);
  }
  keep("key_value_norm_input", shard_.token_shard * (latent.key_value_rank + latent.rotary_dim), element_);
  keep("key_value_up_input", shard_.token_shard * latent.key_value_rank, operand_);
}

void Terms::core_attention() {
  const bool eager = !softmax_is_fused(shape_, shard_, options_);
  const bool dropout = model_.dropout == Presence::kPresent;
  const bool again = recomputes(RecomputeModule::kCoreAttention);
  const std::int64_t queries = shard_.tokens * shard_.query_width;
  const std::int64_t context = shard_.tokens * shard_.context_width;
  // Unfused products keep keys and values expanded to one per query head, unless they are expanded again on recompute;
  // latent attention has one per head anyhow.
  const bool expanded = model_.latent || (!flash() && !again);
  const std::int64_t keys = expanded ? queries : shard_.tokens * shard_.key_value_width;
  const std::int64_t values = expanded ? context : shard_.tokens * shard_.key_value_width;
  if (!model_.latent || !recomputes(RecomputeModule::kLatentUp)) {
    keep("queries", queries, element_);
    keep("keys", keys, element_);
    keep("values", values, element_);
  }
  if (!again && flash()) {
    keep("attention_statistics", shard_.tokens * shard_.heads, kSingle);  // log-sum-exp of each row
  } else if (!again) {
    const std::int64_t scores = shard_.tokens * shard_.heads * shape_.seq_len;
    keep("softmax_output", scores, eager ? kSingle : element_);
    keep("attention_dropout_mask", scores, dropout ? kMask : Bytes{});
    // The operand of the product with the values, where it is not the softmax's own output.
    keep("attention_probabilities", scores, dropout || eager ? element_ : Bytes{});
  }
  // Flash attention's backward reads its output, and so does the output projection's.
  const bool narrow = operand_ < element_;
  const bool projected = !model_.adapters || model_.adapters->has(Module::kAttentionOutput);
  if (flash() || projected) {
    keep("attention_output", context, narrow && !flash() ? operand_ : element_);
  }
  if (projected) {
    keep("attention_output_operand", context, narrow && flash() ? operand_ : Bytes{});
  }
  adapter("attention_output_adapter", shard_.tokens, Module::kAttentionOutput);
}

// The decoder keeps queries of its own tokens, and keys and values of the encoder's; the encoder's output is kept once
// for all layers, by the last encoder layer.
void Terms::cross_attention() {
  const std::int64_t encoder_tokens = shape_.micro_batch * encoder_seq_len_;
  norm("cross_norm_input");
  keep("cross_query_input", hidden_shard(), operand_);
  keep("cross_queries", shard_.tokens * shard_.query_width, element_);
  keep("cross_keys", encoder_tokens * shard_.key_value_width, element_);
  keep("cross_values", encoder_tokens * shard_.key_value_width, element_);
  if (flash()) {
    keep("cross_statistics", shard_.tokens * shard_.heads, kSingle);
  } else if (!recomputes(RecomputeModule::kCoreAttention)) {
    const bool dropout = model_.dropout == Presence::kPresent;
    const std::int64_t scores = shard_.tokens * shard_.heads * encoder_seq_len_;
    keep("cross_softmax_output", scores, element_);
    keep("cross_dropout_mask", scores, dropout ? kMask : Bytes{});
    keep("cross_probabilities", scores, dropout ? element_ : Bytes{});
  }
  keep("cross_output_input", shard_.tokens * shard_.query_width, element_);
  dropout_mask("cross_output_dropout_mask");
}

void Terms::mlp(std::int64_t rows, std::int64_t width) {
  const std::int64_t inner = rows * width;
  keep("activation_input", model_.gated() ? 2 * inner : inner, element_);
  adapter("mlp_up_adapter", rows, Module::kMlpUp);
  adapter("mlp_down_adapter", rows, Module::kMlpDown);
  if (recomputes(RecomputeModule::kActivation)) {
    return;
  }
  const bool eager_gate = model_.gated() && options_.bias_gelu == Fusion::kOff;
  keep("gate_output", inner, eager_gate ? element_ : Bytes{});
  linear_input("mlp_down_input", inner, Module::kMlpDown);
}

// Megatron applies a token's weight within the activation, so that the down projection's output need not be kept. The
// router's probabilities and its map stay for its own backward.
void Terms::experts() {
  const Experts& experts = *model_.experts;
  const std::int64_t rows = shard_.token_shard;
  if (recomputes(RecomputeModule::kExperts)) {
    return;
  }
  keep("router_probabilities", rows * experts.count, kSingle + kMask);
  const ExpertTokens tokens = expert_tokens(model_, shape_);
  const std::int64_t width = divide_up(experts.ffn, shape_.expert_tp);
  const std::int64_t inner = tokens.computed * width;
  const bool trained = !model_.adapters;  // routed experts have no adapters
  keep("expert_input", trained ? tokens.computed * model_.hidden : 0, operand_);
  keep("expert_activation_input", model_.gated() ? 2 * inner : inner, element_);
  if (!recomputes(RecomputeModule::kActivation)) {
    keep("expert_gate_output", inner, model_.gated() && options_.bias_gelu == Fusion::kOff ? element_ : Bytes{});
    keep("expert_down_input", trained ? inner : 0, operand_);
  }
  if (experts.shared_ffn > 0) {
    mlp(shard_.tokens, divide_up(experts.shared_ffn, shape_.tp));
    keep("shared_output", experts.shared_gate == Presence::kPresent ? hidden_shard() : 0, element_);
  }
}

}  // namespace

Bytes total_bytes(const std::vector<ActivationTerm>& terms) {
  Bytes total{};
  for (const ActivationTerm& term : terms) {
    total += term.bytes;
  }
  return total;
}

std::vector<ActivationTerm> activation_bytes(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape,
                                             const OperatorOptions& options, const RecomputePlan& recompute) {
  Terms terms(model, kind, shape, options, recompute);
  if (recompute.granularity == Recompute::kFull) {
    terms.keep("layer_input", terms.hidden_shard(), terms.residual());
    return terms.take();
  }
  const bool norms_again = recompute.has(RecomputeModule::kNorm);
  terms.cast_weights(layer_share(model, kind, shape));
  if (model.has_attention_norm()) {
    terms.norm("attention_norm_input");
  }
  terms.attention_inputs();
  terms.core_attention();
  if (model.post_norms == Presence::kPresent) {
    terms.norm("attention_post_norm_input");
  }
  terms.dropout_mask("attention_output_dropout_mask");
  if (kind.stack == Stack::kDecoder) {
    terms.cross_attention();
  }
  if (model.has_mlp_norm()) {
    terms.norm("mlp_norm_input");
  }
  const bool experts = kind.feed_forward == FeedForward::kExperts;
  // Side by side with attention the MLP reads what the projections of queries, keys and values have kept.
  if (!norms_again && model.parallel_block == Presence::kAbsent) {
    // The router trains with its layer; its input is the experts' and the shared experts' too.
    experts && !model.adapters ? terms.keep("mlp_up_input", terms.hidden_shard(), terms.operand())
                               : terms.linear_input("mlp_up_input", terms.hidden_shard(), Module::kMlpUp);
  }
  if (experts) {
    terms.experts();
  } else if (!recompute.has(RecomputeModule::kMlp)) {
    terms.mlp(terms.shard().tokens, terms.shard().ffn);
  }
  if (model.post_norms == Presence::kPresent) {
    terms.norm("mlp_post_norm_input");
  }
  terms.dropout_mask("mlp_dropout_mask");
  return terms.take();
}

std::vector<ActivationTerm> embedding_activation_bytes(const ModelSpec& model, const ShardShape& shape,
                                                       const OperatorOptions& options) {
  const RecomputePlan nothing(Recompute::kNone);
  Terms terms(model, {}, shape, options, nothing);
  if (model.vision) {
    terms.keep("patches", shape.micro_batch * (shape.seq_len - 1) * model.vision->patch_inputs, terms.operand());
  }
  if (model.embedding_norm == Presence::kPresent) {
    terms.norm("embedding_norm_input");
  }
  terms.dropout_mask("embedding_dropout_mask");
  return terms.take();
}

std::vector<ActivationTerm> head_activation_bytes(const ModelSpec& model, const ShardShape& shape,
                                                  const OperatorOptions& options) {
  const RecomputePlan nothing(Recompute::kNone);
  const LayerKind last = layer_kind(model, model.layers - 1);
  Terms terms(model, last, shape, options, nothing);
  const Bytes element = terms.element();
  if (model.final_norm == Presence::kPresent) {
    terms.norm("final_norm_input");
  }
  if (model.pooler_and_mlm_head == Presence::kPresent) {
    terms.keep("mlm_transform_input", terms.hidden_shard(), element);
    terms.keep("gelu_input", terms.hidden_shard(), element);
    terms.norm("mlm_norm_input");
  }
  if (model.vision) {
    terms.keep("logits_input", shape.micro_batch * model.hidden, element);
    terms.keep("logits", shape.micro_batch * model.vocab, element + kSingle);
    return terms.take();
  }
  // The further tokens' modules each keep a layer, the inputs of its projection and three norms, and logits.
  for (std::int64_t module = 0; module < model.predicted_tokens; ++module) {
    for (const ActivationTerm& term : activation_bytes(model, last, shape, options, nothing)) {
      terms.keep(term.name, 1, term.bytes);
    }
    terms.keep("prediction_norm_inputs", 3 * terms.hidden_shard(), element);
    terms.keep("prediction_projection_input", 2 * terms.hidden_shard(), terms.operand());
  }
  const std::int64_t heads = 1 + model.predicted_tokens;
  terms.keep("logits_input", model.adapters ? 0 : heads * terms.hidden_shard(), element);
  const std::int64_t logits = heads * terms.shard().tokens * terms.shard().vocab;
  terms.keep("logits", logits, element);
  terms.keep("logit_soft_cap_output", model.logit_soft_cap == Presence::kPresent ? logits : 0, element);
  // The fused loss leaves the logits' gradient in the logits' own place; the others keep the softmax in fp32.
  terms.keep("logits_softmax", logits, options.cross_entropy == Fusion::kOn ? Bytes{} : kSingle);
  return terms.take();
}

}  // namespace trainyard
