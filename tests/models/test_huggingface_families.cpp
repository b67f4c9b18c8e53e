// config.json of the families as on the Hub, less keys that do not matter here: same model as the catalogue's.
#include <doctest/doctest.h>

#include <string>

#include "models/load_model.hpp"
#include "models/model.hpp"
#include "sim/base/error.hpp"

using namespace trainyard;

namespace test_huggingface_families {

namespace {

ModelSpec import(const std::string& text) {
  const Json document = parse_json(text, "config.json");
  return read_model(JsonReader(document, "config.json"), "config");
}

struct Published {
  const char* catalogue;
  const char* config;
};

const Published kPublished[] = {
    {"mistral-7b", R"({"model_type": "mistral", "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336,
      "max_position_embeddings": 32768, "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
      "sliding_window": 4096, "tie_word_embeddings": false, "vocab_size": 32000})"},
    {"mixtral-8x7b", R"({"model_type": "mixtral", "attention_dropout": 0.0, "hidden_size": 4096,
      "intermediate_size": 14336, "max_position_embeddings": 32768, "num_attention_heads": 32,
      "num_experts_per_tok": 2, "num_hidden_layers": 32, "num_key_value_heads": 8, "num_local_experts": 8,
      "output_router_logits": false, "router_aux_loss_coef": 0.02, "sliding_window": null,
      "tie_word_embeddings": false, "vocab_size": 32000})"},
    {"qwen2.5-14b", R"({"model_type": "qwen2", "hidden_size": 5120, "intermediate_size": 13824,
      "max_position_embeddings": 131072, "max_window_layers": 48, "num_attention_heads": 40, "num_hidden_layers": 48,
      "num_key_value_heads": 8, "sliding_window": 131072, "tie_word_embeddings": false, "use_sliding_window": false,
      "vocab_size": 152064})"},
    {"qwen1.5-moe-a2.7b", R"({"model_type": "qwen2_moe", "decoder_sparse_step": 1, "hidden_size": 2048,
      "intermediate_size": 5632, "max_position_embeddings": 8192, "max_window_layers": 21,
      "moe_intermediate_size": 1408, "norm_topk_prob": false, "num_attention_heads": 16, "num_experts": 60,
      "num_experts_per_tok": 4, "num_hidden_layers": 24, "num_key_value_heads": 16,
      "shared_expert_intermediate_size": 5632, "sliding_window": 32768, "tie_word_embeddings": false,
      "use_sliding_window": false, "vocab_size": 151936})"},
    {"qwen3-0.6b", R"({"model_type": "qwen3", "attention_bias": false, "head_dim": 128, "hidden_size": 1024,
      "intermediate_size": 3072, "max_position_embeddings": 40960, "max_window_layers": 28, "num_attention_heads": 16,
      "num_hidden_layers": 28, "num_key_value_heads": 8, "sliding_window": null, "tie_word_embeddings": true,
      "use_sliding_window": false, "vocab_size": 151936})"},
    {"qwen3-30b-a3b", R"({"model_type": "qwen3_moe", "attention_bias": false, "decoder_sparse_step": 1,
      "head_dim": 128, "hidden_size": 2048, "intermediate_size": 6144, "max_position_embeddings": 40960,
      "max_window_layers": 48, "mlp_only_layers": [], "moe_intermediate_size": 768, "num_attention_heads": 32,
      "num_experts": 128, "num_experts_per_tok": 8, "num_hidden_layers": 48, "num_key_value_heads": 4,
      "sliding_window": null, "tie_word_embeddings": false, "use_sliding_window": false, "vocab_size": 151936})"},
    {"deepseek-v2-lite", R"({"model_type": "deepseek_v2", "attention_bias": false, "first_k_dense_replace": 1,
      "hidden_size": 2048, "intermediate_size": 10944, "kv_lora_rank": 512, "max_position_embeddings": 163840,
      "moe_intermediate_size": 1408, "moe_layer_freq": 1, "n_routed_experts": 64, "n_shared_experts": 2,
      "num_attention_heads": 16, "num_experts_per_tok": 6, "num_hidden_layers": 27, "num_key_value_heads": 16,
      "q_lora_rank": null, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "tie_word_embeddings": false,
      "v_head_dim": 128, "vocab_size": 102400})"},
    {"deepseek-v3", R"({"model_type": "deepseek_v3", "attention_bias": false, "first_k_dense_replace": 3,
      "hidden_size": 7168, "intermediate_size": 18432, "kv_lora_rank": 512, "max_position_embeddings": 163840,
      "moe_intermediate_size": 2048, "moe_layer_freq": 1, "n_group": 8, "n_routed_experts": 256, "n_shared_experts": 1,
      "num_attention_heads": 128, "num_experts_per_tok": 8, "num_hidden_layers": 61, "num_key_value_heads": 128,
      "num_nextn_predict_layers": 1, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
      "scoring_func": "sigmoid", "tie_word_embeddings": false, "topk_group": 4, "v_head_dim": 128,
      "vocab_size": 129280})"},
    {"gemma-7b", R"({"model_type": "gemma", "attention_bias": false, "attention_dropout": 0.0, "head_dim": 256,
      "hidden_act": "gelu", "hidden_size": 3072, "intermediate_size": 24576, "max_position_embeddings": 8192,
      "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 16, "vocab_size": 256000})"},
    {"gemma-2-27b", R"({"model_type": "gemma2", "attention_bias": false, "attention_dropout": 0.0,
      "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "head_dim": 128, "hidden_size": 4608,
      "intermediate_size": 36864, "max_position_embeddings": 8192, "num_attention_heads": 32, "num_hidden_layers": 46,
      "num_key_value_heads": 16, "sliding_window": 4096, "vocab_size": 256000})"},
    {"gemma-3-1b", R"({"model_type": "gemma3_text", "attention_bias": false, "attn_logit_softcapping": null,
      "final_logit_softcapping": null, "head_dim": 256, "hidden_size": 1152, "intermediate_size": 6912,
      "max_position_embeddings": 32768, "num_attention_heads": 4, "num_hidden_layers": 26, "num_key_value_heads": 1,
      "sliding_window": 512, "sliding_window_pattern": 6, "vocab_size": 262144})"},
    {"gemma-3-4b", R"({"model_type": "gemma3", "image_token_index": 262144, "mm_tokens_per_image": 256,
      "text_config": {"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
      "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024},
      "vision_config": {"hidden_size": 1152, "num_hidden_layers": 27}})"},
    {"gpt-oss-20b", R"({"model_type": "gpt_oss", "attention_bias": true, "attention_dropout": 0.0,
      "experts_per_token": 4, "head_dim": 64, "hidden_size": 2880, "intermediate_size": 2880,
      "max_position_embeddings": 131072, "num_attention_heads": 64, "num_experts_per_tok": 4, "num_hidden_layers": 24,
      "num_key_value_heads": 8, "num_local_experts": 32, "sliding_window": 128, "swiglu_limit": 7.0,
      "tie_word_embeddings": false, "vocab_size": 201088})"},
    {"t5-11b", R"({"model_type": "t5", "d_ff": 65536, "d_kv": 128, "d_model": 1024, "dropout_rate": 0.1,
      "feed_forward_proj": "relu", "is_encoder_decoder": true, "n_positions": 512, "num_heads": 128, "num_layers": 24,
      "relative_attention_num_buckets": 32, "vocab_size": 32128})"},
    {"t5-v1.1-xl", R"({"model_type": "t5", "d_ff": 5120, "d_kv": 64, "d_model": 2048, "dropout_rate": 0.1,
      "feed_forward_proj": "gated-gelu", "is_encoder_decoder": true, "num_decoder_layers": 24, "num_heads": 32,
      "num_layers": 24, "relative_attention_num_buckets": 32, "tie_word_embeddings": false, "vocab_size": 32128})"},
    {"vit-b-16", R"({"model_type": "vit", "attention_probs_dropout_prob": 0.0, "hidden_act": "gelu",
      "hidden_dropout_prob": 0.0, "hidden_size": 768, "image_size": 224, "intermediate_size": 3072,
      "num_attention_heads": 12, "num_channels": 3, "num_hidden_layers": 12, "patch_size": 16, "qkv_bias": true,
      "num_labels": 1000})"},
    {"mpt-30b", R"({"model_type": "mpt", "attn_config": {"alibi": true, "attn_impl": "torch", "attn_pdrop": 0,
      "attn_type": "multihead_attention", "prefix_lm": false}, "d_model": 7168, "emb_pdrop": 0, "expansion_ratio": 4,
      "learned_pos_emb": true, "max_seq_len": 8192, "n_heads": 64, "n_layers": 48, "no_bias": true,
      "norm_type": "low_precision_layernorm", "vocab_size": 50432})"},
    {"bloom-176b", R"({"model_type": "bloom", "attention_dropout": 0.0, "hidden_dropout": 0.0, "n_embed": 14336,
      "n_layer": 70, "num_attention_heads": 112, "seq_length": 2048, "vocab_size": 250880})"},
    {"bloom-560m", R"({"model_type": "bloom", "attention_dropout": 0.0, "hidden_dropout": 0.0, "hidden_size": 1024,
      "n_layer": 24, "n_head": 16, "vocab_size": 250880})"},
    {"internlm-7b", R"({"model_type": "internlm", "bias": true, "hidden_size": 4096, "intermediate_size": 11008,
      "max_position_embeddings": 2048, "num_attention_heads": 32, "num_hidden_layers": 32,
      "tie_word_embeddings": false, "vocab_size": 103168})"},
    {"internlm2-20b", R"({"model_type": "internlm2", "bias": false, "hidden_size": 6144, "intermediate_size": 16384,
      "max_position_embeddings": 32768, "num_attention_heads": 48, "num_hidden_layers": 48, "num_key_value_heads": 8,
      "tie_word_embeddings": false, "vocab_size": 92544})"},
};

std::string pointer_of_fault(const std::string& text) {
  try {
    import(text);
  } catch (const UserError& error) {
    CHECK(error.code() == ExitCode::kBadInput);
    return error.fault().pointer;
  }
  return "no error";
}

}  // namespace

TEST_CASE("an imported config is the model of the catalogue") {
  for (const Published& published : kPublished) {
    CAPTURE(published.catalogue);
    const ModelSpec imported = import(published.config);
    const ModelSpec catalogued = load_model(published.catalogue);
    CHECK(parameters(imported) == parameters(catalogued));
    CHECK(prediction_parameters(imported) == prediction_parameters(catalogued));
    CHECK(layer_kinds(imported) == layer_kinds(catalogued));
    CHECK(imported.layers == catalogued.layers);
    CHECK(imported.vocab == catalogued.vocab);
    CHECK(imported.window == catalogued.window);
    CHECK(imported.attention_soft_cap == catalogued.attention_soft_cap);
    CHECK(imported.logit_soft_cap == catalogued.logit_soft_cap);
    CHECK(imported.positions == catalogued.positions);
    CHECK(imported.activation == catalogued.activation);
    CHECK(imported.dropout == catalogued.dropout);
    const std::int64_t seq_len = catalogued.vision ? catalogued.seq_len : 2048;
    if (catalogued.encoder_layers == 0) {  // the length of a decoder's sequence is no part of a config
      CHECK(flops_per_token(imported, seq_len) == flops_per_token(catalogued, seq_len));
    }
  }
}

TEST_CASE("patterns of layers that are not supported are refused, with the key that asks for them") {
  const std::string qwen = R"({"model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864,
      "max_position_embeddings": 32768, "num_attention_heads": 14, "num_hidden_layers": 24, "num_key_value_heads": 2,
      "sliding_window": 4096, "use_sliding_window": true, "max_window_layers": 12, "vocab_size": 151936})";
  CHECK(pointer_of_fault(qwen) == "/use_sliding_window");
  const std::string moe = R"({"model_type": "qwen3_moe", "head_dim": 128, "hidden_size": 2048,
      "intermediate_size": 6144, "max_position_embeddings": 40960, "mlp_only_layers": [0, 5],
      "moe_intermediate_size": 768, "num_attention_heads": 32, "num_experts": 128, "num_experts_per_tok": 8,
      "num_hidden_layers": 48, "num_key_value_heads": 4, "vocab_size": 151936})";
  CHECK(pointer_of_fault(moe) == "/mlp_only_layers/1");
  const std::string experts = R"({"model_type": "mixtral", "hidden_size": 4096, "intermediate_size": 14336,
      "max_position_embeddings": 32768, "num_attention_heads": 32, "num_experts_per_tok": 9, "num_hidden_layers": 32,
      "num_key_value_heads": 8, "num_local_experts": 8, "vocab_size": 32000})";
  CHECK(pointer_of_fault(experts) == "/num_experts_per_tok");
}

}  // namespace test_huggingface_families
