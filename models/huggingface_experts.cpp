// Decoders with a mixture of experts, from config.json.
#include "models/huggingface_reading.hpp"

namespace trainyard::huggingface {
namespace {

// How many experts a class has, and how many of them a token visits. Zero: config.json must say.
struct ClassExperts {
  std::int64_t count = 0;
  std::int64_t per_token = 0;
  std::int64_t ffn = 0;
};

std::int64_t size_or_stated(const JsonReader& json, std::string_view key, std::int64_t largest, std::int64_t of_class,
                            ModelSpec& model) {
  return of_class > 0 ? size(json, key, largest, of_class, model) : json.at(key).integer(1, largest);
}

// `count_keys` and `ffn_keys` with | between other names; without a key of its own an expert is as wide as the MLP.
Experts read_experts(const JsonReader& json, std::string_view count_keys, std::string_view ffn_keys,
                     const ClassExperts& of_class, ModelSpec& model) {
  Experts experts;
  experts.count = size_or_stated(json, name_in(json, count_keys), ModelLimits::kExperts, of_class.count, model);
  experts.per_token = size_or_stated(json, "num_experts_per_tok", experts.count, of_class.per_token, model);
  experts.ffn = ffn_keys.empty()
                    ? model.ffn
                    : size_or_stated(json, name_in(json, ffn_keys), ModelLimits::kFfn, of_class.ffn, model);
  return experts;
}

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

// Layers with experts are those whose number, from one on, the step divides.
Experts qwen_experts(const JsonReader& json, const ClassExperts& of_class, ModelSpec& model) {
  Experts experts = read_experts(json, "num_experts|num_local_experts", "moe_intermediate_size", of_class, model);
  experts.first_dense = leading_dense_layers(json);
  experts.period = positive(json, "decoder_sparse_step", ModelLimits::kLayers, 1);
  if (experts.period > 1 && experts.first_dense % experts.period != 0) {
    json.at("mlp_only_layers").fail("dense layers that cut a group of decoder_sparse_step are not supported", "[]");
  }
  return experts;
}

// DeepSeek's layers: a leading few are dense, the others have routed and shared experts of one width.
struct DeepseekClass {
  ClassExperts experts;
  std::int64_t shared = 0;  // experts
  std::int64_t first_dense = 0;
};

void read_deepseek_experts(const JsonReader& json, const DeepseekClass& of_class, ModelSpec& model) {
  const bool is_dense = states(json, "n_routed_experts") ? !json.has("n_routed_experts") : of_class.experts.count == 0;
  if (is_dense) {
    return;
  }
  if (const auto frequency = json.find("moe_layer_freq");
      frequency && frequency->integer(1, ModelLimits::kLayers) > 1) {
    frequency->fail("dense layers between layers with experts are not supported", "1");
  }
  Experts experts = read_experts(json, "n_routed_experts", "moe_intermediate_size", of_class.experts, model);
  const std::int64_t shared =
      states(json, "n_shared_experts") ? count(json, "n_shared_experts", ModelLimits::kExperts, 0) : of_class.shared;
  experts.shared_ffn = shared * experts.ffn;
  experts.first_dense = count(json, "first_k_dense_replace", ModelLimits::kLayers, of_class.first_dense);
  model.experts = experts;
}

// null for queries that are projected at once.
void read_latent(const JsonReader& json, ModelSpec& model) {
  LatentAttention latent;
  const bool projects_at_once = states(json, "q_lora_rank") && !json.has("q_lora_rank");
  latent.query_rank = projects_at_once ? 0 : size(json, "q_lora_rank", ModelLimits::kHidden, 1536, model);
  latent.key_value_rank = size(json, "kv_lora_rank", ModelLimits::kHidden, 512, model);
  latent.plain_dim = size(json, "qk_nope_head_dim", ModelLimits::kHeadDim, 128, model);
  latent.rotary_dim = size(json, "qk_rope_head_dim", ModelLimits::kHeadDim, 64, model);
  latent.value_dim = size(json, "v_head_dim", ModelLimits::kHeadDim, 128, model);
  model.latent = latent;
  model.head_dim = latent.query_dim();
}

}  // namespace

// Unlike Mistral's class, Mixtral's has no window of its own.
void read_mixtral(const JsonReader& json, ModelSpec& model) {
  model.dropout = dropout(json, {"attention_dropout"}, 0.0);
  model.window = window(json, 0);
  model.experts = read_experts(json, "num_local_experts|num_experts", "", {.count = 8, .per_token = 2}, model);
}

void read_phimoe(const JsonReader& json, ModelSpec& model) {
  model.normalization = Normalization::kLayerNorm;
  model.qkv_bias = presence(json, "attention_bias", false);
  model.attention_output_bias = model.qkv_bias;
  model.head_bias = presence(json, "lm_head_bias", false);
  model.window = window(json, 0);
  model.experts = read_experts(json, "num_local_experts", "", {.count = 16, .per_token = 2}, model);
}

void read_olmoe(const JsonReader& json, ModelSpec& model) {
  model.query_key_norm = Presence::kPresent;
  model.query_key_norm_span = NormSpan::kAllHeads;
  model.experts = read_experts(json, "num_experts", "", {.count = 64, .per_token = 8}, model);
}

// Source: DBRX's config.json and configuration_dbrx.py: sizes of attention and experts have sections of their own.
void read_dbrx(const JsonReader& json, ModelSpec& model) {
  model.positions = Positions::kRotary;
  model.activation = Activation::kSwiGlu;
  if (const auto attention = json.find("attn_config")) {
    model.kv_heads = positive(*attention, "kv_n_heads", ModelLimits::kHeads, 1);
  }
  const JsonReader ffn = json.at("ffn_config");
  Experts experts;
  experts.count = size(ffn, "moe_num_experts", ModelLimits::kExperts, 4, model);
  experts.per_token = size(ffn, "moe_top_k", experts.count, 1, model);
  experts.ffn = size(ffn, "ffn_hidden_size", ModelLimits::kFfn, 3584, model);
  model.ffn = experts.ffn;
  model.experts = experts;
}

void read_qwen2_moe(const JsonReader& json, ModelSpec& model) {
  read_qwen2(json, model);
  model.experts = qwen_experts(json, {.count = 60, .per_token = 4, .ffn = 1408}, model);
  model.experts->shared_ffn = size(json, "shared_expert_intermediate_size", ModelLimits::kFfn, 5632, model);
  model.experts->shared_gate = Presence::kPresent;
}

void read_qwen3_moe(const JsonReader& json, ModelSpec& model) {
  read_qwen3(json, model);
  model.experts = qwen_experts(json, {.count = 128, .per_token = 8, .ffn = 768}, model);
}

void read_deepseek(const JsonReader& json, ModelSpec& model) {
  read_llama(json, model);
  read_deepseek_experts(json, {}, model);
}

void read_deepseek_v2(const JsonReader& json, ModelSpec& model) {
  read_latent(json, model);
  read_deepseek_experts(json, {.experts = {.count = 64, .per_token = 0, .ffn = 1407}, .shared = 2, .first_dense = 0},
                        model);
}

// Its router adds a correction to the scores, a parameter that no gradient reaches but that is counted.
void read_deepseek_v3(const JsonReader& json, ModelSpec& model) {
  read_latent(json, model);
  read_deepseek_experts(json, {.experts = {.count = 256, .per_token = 8, .ffn = 2048}, .shared = 1, .first_dense = 3},
                        model);
  if (model.experts) {
    model.experts->router_bias = Presence::kPresent;
  }
  model.predicted_tokens = count(json, "num_nextn_predict_layers", ModelLimits::kLayers, 0);
}

// DeepSeek-V3's experts under grouped queries.
void read_glm4_moe(const JsonReader& json, ModelSpec& model) {
  model.qkv_bias = presence(json, "attention_bias", false);
  model.attention_output_bias = Presence::kAbsent;
  model.query_key_norm = presence(json, "use_qk_norm", false);
  model.dropout = dropout(json, {"attention_dropout"}, 0.0);
  read_deepseek_experts(json, {.experts = {.count = 128, .per_token = 8, .ffn = 1408}, .shared = 1, .first_dense = 1},
                        model);
  if (model.experts) {
    model.experts->router_bias = Presence::kPresent;
  }
  model.predicted_tokens = count(json, "num_nextn_predict_layers", ModelLimits::kLayers, 0);
}

// Windows in every other layer from the first on; biases everywhere.
void read_gpt_oss(const JsonReader& json, ModelSpec& model) {
  constexpr std::int64_t kClassWindow = 128;
  model.qkv_bias = presence(json, "attention_bias", true);
  model.attention_output_bias = model.qkv_bias;
  model.dropout = dropout(json, {"attention_dropout"}, 0.0);
  model.attention_sinks = Presence::kPresent;
  model.window = window(json, kClassWindow);
  model.global_every = 2;
  model.experts = read_experts(json, "num_local_experts", "", {.count = 128, .per_token = 4}, model);
  model.experts->router_bias = Presence::kPresent;
  model.experts->expert_bias = Presence::kPresent;
}

// Dense layers are twice as wide as the experts, one of which all tokens share. Layers with rotary positions attend in
// chunks, which count as windows here; queries and keys are normalised without weights, which is left out.
void read_llama4(const JsonReader& json, ModelSpec& model) {
  constexpr std::int64_t kClassChunk = 8192;
  constexpr std::int64_t kClassInterval = 4;
  model.qkv_bias = presence(json, "attention_bias", false);
  model.attention_output_bias = model.qkv_bias;
  model.dropout = dropout(json, {"attention_dropout"}, 0.0);
  model.window =
      states(json, "attention_chunk_size") ? count(json, "attention_chunk_size", ModelLimits::kSeqLen, 0) : kClassChunk;
  model.global_every = count(json, "no_rope_layer_interval", ModelLimits::kLayers, kClassInterval);
  Experts experts =
      read_experts(json, "num_local_experts", "intermediate_size", {.count = 16, .per_token = 1, .ffn = 8192}, model);
  experts.shared_ffn = experts.ffn;
  experts.period = positive(json, "interleave_moe_layer_step", ModelLimits::kLayers, 1);
  model.experts = experts;
}

}  // namespace trainyard::huggingface
