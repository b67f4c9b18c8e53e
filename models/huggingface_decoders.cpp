// Decoders with a dense MLP that follow Llama, from config.json.
#include "models/huggingface_reading.hpp"

namespace trainyard::huggingface {
namespace {

ModelSpec llama_like(const JsonReader& json, std::string_view family, bool tied) {
  ModelSpec model = family_defaults(family);
  read_usual_sizes(json, model);
  model.tied_embeddings = presence(json, "tie_word_embeddings", tied);
  model.dropout = dropout(json, {"attention_dropout"}, 0.0);
  return model;
}

void same_bias_everywhere_in_attention(ModelSpec& model, Presence bias) {
  model.qkv_bias = bias;
  model.attention_output_bias = bias;
}

}  // namespace

ModelSpec read_llama(const JsonReader& json) {
  ModelSpec model = llama_like(json, "llama", false);
  same_bias_everywhere_in_attention(model, presence(json, "attention_bias", false));
  model.linear_bias = presence(json, "mlp_bias", false);
  return model;
}

// The window is null in the configs of later releases, which attend to everything.
ModelSpec read_mistral(const JsonReader& json) {
  ModelSpec model = llama_like(json, "llama", false);
  model.window = count(json, "sliding_window", ModelLimits::kSeqLen, 0);
  return model;
}

ModelSpec read_qwen2(const JsonReader& json) {
  ModelSpec model = llama_like(json, "llama", false);
  model.qkv_bias = Presence::kPresent;
  model.attention_output_bias = Presence::kAbsent;
  check_qwen_window(json, model);
  return model;
}

ModelSpec read_qwen3(const JsonReader& json) {
  ModelSpec model = llama_like(json, "qwen3", false);
  same_bias_everywhere_in_attention(model, presence(json, "attention_bias", false));
  check_qwen_window(json, model);
  return model;
}

// Queries, keys, values and output have biases in InternLM, and a key of their own.
ModelSpec read_internlm(const JsonReader& json) {
  ModelSpec model = llama_like(json, "llama", false);
  same_bias_everywhere_in_attention(model, presence(json, "bias", true));
  return model;
}

ModelSpec read_internlm2(const JsonReader& json) {
  ModelSpec model = llama_like(json, "llama", false);
  same_bias_everywhere_in_attention(model, presence(json, "bias", false));
  return model;
}

ModelSpec read_gemma(const JsonReader& json) {
  ModelSpec model = llama_like(json, "gemma", true);
  same_bias_everywhere_in_attention(model, presence(json, "attention_bias", false));
  return model;
}

ModelSpec read_gemma2(const JsonReader& json) {
  constexpr std::int64_t kClassWindow = 4096;
  ModelSpec model = read_gemma(json);
  model.post_norms = Presence::kPresent;
  model.window = count(json, "sliding_window", ModelLimits::kSeqLen, kClassWindow);
  model.global_every = 2;
  model.attention_soft_cap = json.has("attn_logit_softcapping") ? Presence::kPresent : Presence::kAbsent;
  model.logit_soft_cap = json.has("final_logit_softcapping") ? Presence::kPresent : Presence::kAbsent;
  return model;
}

// Configs with an image encoder keep the text model under text_config, and leave out what equals the class's default:
// 8 heads, 4 of keys and values, of 256; 262208 tokens; 131072 positions; windows of 4096 but in every sixth layer.
// The image encoder is not read.
ModelSpec read_gemma3(const JsonReader& json) {
  const auto nested = json.find("text_config");
  const JsonReader text = nested ? *nested : json;
  ModelSpec model = family_defaults("gemma");
  model.layers = text.at("num_hidden_layers").integer(1, ModelLimits::kLayers);
  model.hidden = text.at("hidden_size").integer(1, ModelLimits::kHidden);
  model.ffn = text.at("intermediate_size").integer(1, ModelLimits::kFfn);
  model.heads = count(text, "num_attention_heads", ModelLimits::kHeads, 8);
  model.kv_heads = count(text, "num_key_value_heads", ModelLimits::kHeads, 4);
  model.head_dim = count(text, "head_dim", ModelLimits::kHeadDim, 256);
  model.vocab = count(text, "vocab_size", ModelLimits::kVocab, 262'208);
  model.seq_len = count(text, "max_position_embeddings", ModelLimits::kSeqLen, 131'072);
  model.window = count(text, "sliding_window", ModelLimits::kSeqLen, 4096);
  model.global_every = count(text, "sliding_window_pattern", ModelLimits::kLayers, 6);
  model.tied_embeddings = presence(text, "tie_word_embeddings", true);
  model.query_key_norm = Presence::kPresent;
  model.post_norms = Presence::kPresent;
  model.logit_soft_cap = text.has("final_logit_softcapping") ? Presence::kPresent : Presence::kAbsent;
  model.attention_soft_cap = text.has("attn_logit_softcapping") ? Presence::kPresent : Presence::kAbsent;
  return model;
}

// Windows from some layer on are not among the patterns that ModelSpec knows; published configs switch them off.
void check_qwen_window(const JsonReader& json, const ModelSpec& model) {
  const auto uses = json.find("use_sliding_window");
  if (uses && uses->boolean() && count(json, "max_window_layers", ModelLimits::kLayers, model.layers) < model.layers) {
    uses->fail("windows in the upper layers alone are not supported", "false, or max_window_layers = all");
  }
}

}  // namespace trainyard::huggingface
