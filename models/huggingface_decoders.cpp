// Decoders with a dense MLP that follow Llama, from config.json.
#include "models/huggingface_reading.hpp"

namespace trainyard::huggingface {
namespace {

void same_bias_everywhere_in_attention(ModelSpec& model, Presence bias) {
  model.qkv_bias = bias;
  model.attention_output_bias = bias;
}

void layer_norms(ModelSpec& model, Presence bias) {
  model.normalization = Normalization::kLayerNorm;
  model.norm_bias = bias;
}

void read_dropout(const JsonReader& json, ModelSpec& model) {
  model.dropout = dropout(json, {"attention_dropout"}, 0.0);
}

// Windows from some layer on are not among the patterns that ModelSpec knows; published configs switch them off.
void check_qwen_window(const JsonReader& json, const ModelSpec& model) {
  const auto uses = json.find("use_sliding_window");
  if (uses && uses->boolean() && count(json, "max_window_layers", ModelLimits::kLayers, model.layers) < model.layers) {
    uses->fail("windows in the upper layers alone are not supported", "false, or max_window_layers = all");
  }
}

}  // namespace

void read_llama(const JsonReader& json, ModelSpec& model) {
  same_bias_everywhere_in_attention(model, presence(json, "attention_bias", false));
  model.linear_bias = presence(json, "mlp_bias", false);
  read_dropout(json, model);
}

// The window is null in the configs of later releases, which attend to everything.
void read_mistral(const JsonReader& json, ModelSpec& model) {
  constexpr std::int64_t kClassWindow = 4096;
  read_dropout(json, model);
  model.window = window(json, kClassWindow);
}

// Its intermediate_size counts both halves of the gated MLP. Source: Qwen-7B's modeling_qwen.py, QWenMLP.
void read_qwen(const JsonReader& /*json*/, ModelSpec& model) {
  model.qkv_bias = Presence::kPresent;
  model.attention_output_bias = Presence::kAbsent;
  model.ffn /= 2;
}

void read_qwen2(const JsonReader& json, ModelSpec& model) {
  model.qkv_bias = Presence::kPresent;
  model.attention_output_bias = Presence::kAbsent;
  read_dropout(json, model);
  check_qwen_window(json, model);
}

void read_qwen3(const JsonReader& json, ModelSpec& model) {
  same_bias_everywhere_in_attention(model, presence(json, "attention_bias", false));
  read_dropout(json, model);
  check_qwen_window(json, model);
}

// Queries, keys, values and output have biases in InternLM, under a key of their own; InternLM2's class has the same
// default, and published files say false.
void read_internlm(const JsonReader& json, ModelSpec& model) {
  same_bias_everywhere_in_attention(model, presence(json, "bias", true));
}

void read_internlm3(const JsonReader& json, ModelSpec& model) {
  const Presence bias = presence(json, "bias", false);
  model.qkv_bias = presence(json, "qkv_bias", false);
  model.attention_output_bias = bias;
  model.linear_bias = bias;
  read_dropout(json, model);
}

void read_gemma(const JsonReader& json, ModelSpec& model) {
  same_bias_everywhere_in_attention(model, presence(json, "attention_bias", false));
  read_dropout(json, model);
}

namespace {

// null switches a cap off; a class may cap unless it is told not to.
Presence soft_cap(const JsonReader& json, std::string_view key, bool of_class) {
  return (states(json, key) ? json.has(key) : of_class) ? Presence::kPresent : Presence::kAbsent;
}

}  // namespace

void read_gemma2(const JsonReader& json, ModelSpec& model) {
  constexpr std::int64_t kClassWindow = 4096;
  read_gemma(json, model);
  model.post_norms = Presence::kPresent;
  model.window = window(json, kClassWindow);
  model.global_every = 2;
  model.attention_soft_cap = soft_cap(json, "attn_logit_softcapping", true);
  model.logit_soft_cap = soft_cap(json, "final_logit_softcapping", true);
}

// Windows in all but every sixth layer. Where it looks both ways a window reaches half as far each way.
void read_gemma3(const JsonReader& json, ModelSpec& model) {
  constexpr std::int64_t kClassWindow = 4096;
  constexpr std::int64_t kClassPattern = 6;
  read_gemma(json, model);
  model.window = window(json, kClassWindow);
  model.global_every =
      count(json, name_in(json, "sliding_window_pattern|_sliding_window_pattern"), ModelLimits::kLayers, kClassPattern);
  model.query_key_norm = Presence::kPresent;
  model.post_norms = Presence::kPresent;
  model.logit_soft_cap = soft_cap(json, "final_logit_softcapping", false);
  model.attention_soft_cap = soft_cap(json, "attn_logit_softcapping", false);
}

// Attention and MLP side by side, biases everywhere, ungated.
void read_phi(const JsonReader& json, ModelSpec& model) {
  layer_norms(model, Presence::kPresent);
  same_bias_everywhere_in_attention(model, Presence::kPresent);
  model.linear_bias = Presence::kPresent;
  model.head_bias = Presence::kPresent;
  model.parallel_block = Presence::kPresent;
  model.activation = Activation::kGelu;
  model.dropout = dropout(json, {"resid_pdrop", "embd_pdrop", "attention_dropout"}, 0.0);
}

void read_phi3(const JsonReader& json, ModelSpec& model) {
  model.window = window(json, 0);
  model.dropout = dropout(json, {"resid_pdrop", "embd_pdrop", "attention_dropout"}, 0.0);
}

void read_cohere(const JsonReader& json, ModelSpec& model) {
  layer_norms(model, Presence::kAbsent);
  same_bias_everywhere_in_attention(model, presence(json, "attention_bias", false));
  model.parallel_block = Presence::kPresent;
  model.query_key_norm = presence(json, "use_qk_norm", false);
  model.query_key_norm_span = NormSpan::kAllHeads;  // a weight of its own for every head
  read_dropout(json, model);
}

void read_cohere2(const JsonReader& json, ModelSpec& model) {
  constexpr std::int64_t kClassWindow = 4096;
  constexpr std::int64_t kClassPattern = 4;
  read_cohere(json, model);
  model.window = window(json, kClassWindow);
  model.global_every =
      count(json, name_in(json, "sliding_window_pattern|_sliding_window_pattern"), ModelLimits::kLayers, kClassPattern);
}

void read_olmo2(const JsonReader& json, ModelSpec& model) {
  same_bias_everywhere_in_attention(model, presence(json, "attention_bias", false));
  model.pre_norms = Presence::kAbsent;
  model.post_norms = Presence::kPresent;
  model.query_key_norm = Presence::kPresent;
  model.query_key_norm_span = NormSpan::kAllHeads;
  read_dropout(json, model);
}

void read_stablelm(const JsonReader& json, ModelSpec& model) {
  layer_norms(model, Presence::kPresent);
  model.qkv_bias = presence(json, "use_qkv_bias", false);
  model.attention_output_bias = Presence::kAbsent;
  model.parallel_block = presence(json, "use_parallel_residual", false);
  if (const auto norms = json.find("qk_layernorm"); norms && norms->boolean()) {
    norms->fail("norms of queries and keys beside LayerNorms with biases are not supported", "false");
  }
  model.dropout = dropout(json, {"attention_dropout", "hidden_dropout"}, 0.0);
}

void read_starcoder2(const JsonReader& json, ModelSpec& model) {
  const Presence bias = presence(json, "use_bias", true);
  same_bias_everywhere_in_attention(model, bias);
  model.linear_bias = bias;
  model.positions = Positions::kRotary;
  model.window = window(json, 0);
  model.dropout = dropout(json, {"attention_dropout", "residual_dropout", "embedding_dropout"}, 0.0);
}

// Squared ReLU without a gate, LayerNorms with biases.
void read_nemotron(const JsonReader& json, ModelSpec& model) {
  layer_norms(model, Presence::kPresent);
  same_bias_everywhere_in_attention(model, presence(json, "attention_bias", false));
  model.linear_bias = presence(json, "mlp_bias", false);
  model.activation = Activation::kRelu;
  model.dropout = dropout(json, {"attention_dropout", "hidden_dropout"}, 0.0);
}

void read_seed_oss(const JsonReader& json, ModelSpec& model) {
  constexpr double kClassDropout = 0.1;
  model.qkv_bias = presence(json, "attention_bias", true);
  model.attention_output_bias = presence(json, "attention_out_bias", false);
  model.linear_bias = presence(json, "mlp_bias", false);
  model.dropout = dropout(json, {"attention_dropout", "residual_dropout"}, kClassDropout);
}

void read_glm(const JsonReader& json, ModelSpec& model) {
  model.qkv_bias = presence(json, "attention_bias", true);
  model.attention_output_bias = Presence::kAbsent;
  read_dropout(json, model);
}

void read_glm4(const JsonReader& json, ModelSpec& model) {
  model.qkv_bias = presence(json, "attention_bias", false);
  model.attention_output_bias = Presence::kAbsent;
  model.post_norms = Presence::kPresent;
  read_dropout(json, model);
}

// Source: chatglm3-6b's configuration_chatglm.py and modeling_chatglm.py.
void read_chatglm(const JsonReader& json, ModelSpec& model) {
  const Presence everywhere = presence(json, "add_bias_linear", false);
  model.qkv_bias = everywhere == Presence::kPresent ? everywhere : presence(json, "add_qkv_bias", false);
  model.attention_output_bias = everywhere;
  model.linear_bias = everywhere;
  if (presence(json, "multi_query_attention", false) == Presence::kPresent) {
    model.kv_heads = positive(json, "multi_query_group_num", ModelLimits::kHeads, 1);
  }
}

// The larger ones have ALiBi and state no table of positions. Source: Baichuan2-13B's configuration_baichuan.py.
void read_baichuan(const JsonReader& json, ModelSpec& model) {
  if (states(json, "model_max_length") && !states(json, "max_position_embeddings")) {
    model.positions = Positions::kAlibi;
  }
}

void read_ernie(const JsonReader& json, ModelSpec& model) {
  const Presence bias = presence(json, "use_bias", false);
  same_bias_everywhere_in_attention(model, bias);
  model.linear_bias = bias;
}

}  // namespace trainyard::huggingface
