// Decoders with a mixture of experts, from config.json.
#include "models/huggingface_reading.hpp"

namespace trainyard::huggingface {
namespace {

// Some configs name leading dense layers one by one: they must be the first ones.
std::int64_t leading_dense_layers(const JsonReader& json) {
  const auto listed = json.find("mlp_only_layers");
  std::int64_t next = 0;
  if (listed) {
    for (const JsonReader& layer : listed->elements()) {
      if (layer.integer(0, ModelLimits::kLayers) != next) {
        layer.fail("dense layers between layers with experts are not supported", "0, 1, 2, ... in order");
      }
      ++next;
    }
  }
  return next;
}

Experts qwen_experts(const JsonReader& json) {
  Experts experts;
  experts.count = json.at("num_experts").integer(1, ModelLimits::kExperts);
  experts.per_token = json.at("num_experts_per_tok").integer(1, experts.count);
  experts.ffn = json.at("moe_intermediate_size").integer(1, ModelLimits::kFfn);
  experts.first_dense = leading_dense_layers(json);
  experts.period = std::max<std::int64_t>(1, count(json, "decoder_sparse_step", ModelLimits::kLayers, 1));
  return experts;
}

// DeepSeek's layers: a leading few are dense, the others have routed and shared experts of one width.
void read_deepseek_experts(const JsonReader& json, ModelSpec& model) {
  const auto routed = json.find("n_routed_experts");
  if (!routed) {
    return;
  }
  if (const auto frequency = json.find("moe_layer_freq");
      frequency && frequency->integer(1, ModelLimits::kLayers) > 1) {
    frequency->fail("dense layers between layers with experts are not supported", "1");
  }
  Experts experts;
  experts.count = routed->integer(1, ModelLimits::kExperts);
  experts.per_token = json.at("num_experts_per_tok").integer(1, experts.count);
  experts.ffn = json.at("moe_intermediate_size").integer(1, ModelLimits::kFfn);
  experts.shared_ffn = count(json, "n_shared_experts", ModelLimits::kExperts, 0) * experts.ffn;
  experts.first_dense = count(json, "first_k_dense_replace", ModelLimits::kLayers, 0);
  model.experts = experts;
}

}  // namespace

ModelSpec read_mixtral(const JsonReader& json) {
  ModelSpec model = read_mistral(json);
  Experts experts;
  experts.count = json.at("num_local_experts").integer(1, ModelLimits::kExperts);
  experts.per_token = json.at("num_experts_per_tok").integer(1, experts.count);
  experts.ffn = model.ffn;
  model.experts = experts;
  return model;
}

ModelSpec read_qwen2_moe(const JsonReader& json) {
  ModelSpec model = read_qwen2(json);
  model.experts = qwen_experts(json);
  model.experts->shared_ffn = json.at("shared_expert_intermediate_size").integer(1, ModelLimits::kFfn);
  model.experts->shared_gate = Presence::kPresent;
  return model;
}

ModelSpec read_qwen3_moe(const JsonReader& json) {
  ModelSpec model = read_qwen3(json);
  model.experts = qwen_experts(json);
  return model;
}

ModelSpec read_deepseek_v2(const JsonReader& json) {
  ModelSpec model = family_defaults("llama");
  LatentAttention latent;
  latent.query_rank = count(json, "q_lora_rank", ModelLimits::kHidden, 0);
  latent.key_value_rank = json.at("kv_lora_rank").integer(1, ModelLimits::kHidden);
  latent.plain_dim = json.at("qk_nope_head_dim").integer(1, ModelLimits::kHeadDim);
  latent.rotary_dim = json.at("qk_rope_head_dim").integer(1, ModelLimits::kHeadDim);
  latent.value_dim = json.at("v_head_dim").integer(1, ModelLimits::kHeadDim);
  model.latent = latent;
  model.layers = json.at("num_hidden_layers").integer(1, ModelLimits::kLayers);
  model.hidden = json.at("hidden_size").integer(1, ModelLimits::kHidden);
  model.heads = json.at("num_attention_heads").integer(1, ModelLimits::kHeads);
  model.kv_heads = model.heads;
  model.head_dim = latent.query_dim();
  model.ffn = json.at("intermediate_size").integer(1, ModelLimits::kFfn);
  model.seq_len = json.at("max_position_embeddings").integer(1, ModelLimits::kSeqLen);
  model.tied_embeddings = presence(json, "tie_word_embeddings", false);
  read_deepseek_experts(json, model);
  return model;
}

// Its router adds a correction to the scores, a parameter that no gradient reaches but that is counted.
ModelSpec read_deepseek_v3(const JsonReader& json) {
  ModelSpec model = read_deepseek_v2(json);
  if (model.experts) {
    model.experts->router_bias = Presence::kPresent;
  }
  model.predicted_tokens = count(json, "num_nextn_predict_layers", ModelLimits::kLayers, 0);
  return model;
}

// Windows in every other layer from the first on; biases everywhere.
ModelSpec read_gpt_oss(const JsonReader& json) {
  constexpr std::int64_t kClassWindow = 128;
  ModelSpec model = family_defaults("llama");
  read_usual_sizes(json, model);
  model.qkv_bias = presence(json, "attention_bias", true);
  model.attention_output_bias = model.qkv_bias;
  model.tied_embeddings = presence(json, "tie_word_embeddings", false);
  model.dropout = dropout(json, {"attention_dropout"}, 0.0);
  model.attention_sinks = Presence::kPresent;
  model.window = count(json, "sliding_window", ModelLimits::kSeqLen, kClassWindow);
  model.global_every = 2;
  Experts experts;
  experts.count = json.at("num_local_experts").integer(1, ModelLimits::kExperts);
  experts.per_token = json.at("num_experts_per_tok").integer(1, experts.count);
  experts.ffn = model.ffn;
  experts.router_bias = Presence::kPresent;
  experts.expert_bias = Presence::kPresent;
  model.experts = experts;
  return model;
}

}  // namespace trainyard::huggingface
