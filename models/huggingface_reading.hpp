#pragma once
// The room's own: what the readers of Hugging Face's config.json share. Defaults are those of the configuration classes
// in huggingface/transformers, src/transformers/models/<model_type>/configuration_<model_type>.py; what does not change
// shapes is ignored, and sizes are defaulted only where a class is published with configs that leave them out.
#include <initializer_list>
#include <string_view>

#include "models/model_reading.hpp"

namespace trainyard::huggingface {

inline constexpr ModelKeys kUsualKeys{
    .hidden = "hidden_size", .heads = "num_attention_heads", .kv_heads = "num_key_value_heads", .head_dim = "head_dim"};

Presence presence(const JsonReader& json, std::string_view key, bool when_missing);
std::int64_t count(const JsonReader& json, std::string_view key, std::int64_t largest, std::int64_t when_missing);
// Present when any of the probabilities is above zero.
Presence dropout(const JsonReader& json, std::initializer_list<std::string_view> keys, double when_missing);
// Layers, hidden size, heads, MLP and positions under the names that most models use.
void read_usual_sizes(const JsonReader& json, ModelSpec& model);

// Readers of one or several model types; the vocabulary, the name and the checks are their caller's.
ModelSpec read_gpt2(const JsonReader& json);
ModelSpec read_bert(const JsonReader& json);
ModelSpec read_mpt(const JsonReader& json);
ModelSpec read_bloom(const JsonReader& json);
ModelSpec read_t5(const JsonReader& json);
ModelSpec read_vit(const JsonReader& json);

ModelSpec read_llama(const JsonReader& json);
ModelSpec read_mistral(const JsonReader& json);
ModelSpec read_qwen2(const JsonReader& json);
ModelSpec read_qwen3(const JsonReader& json);
ModelSpec read_internlm(const JsonReader& json);
ModelSpec read_internlm2(const JsonReader& json);
ModelSpec read_gemma(const JsonReader& json);
ModelSpec read_gemma2(const JsonReader& json);
ModelSpec read_gemma3(const JsonReader& json);

// Throws UserError when Qwen's layers would differ in their windows.
void check_qwen_window(const JsonReader& json, const ModelSpec& model);

ModelSpec read_mixtral(const JsonReader& json);
ModelSpec read_qwen2_moe(const JsonReader& json);
ModelSpec read_qwen3_moe(const JsonReader& json);
ModelSpec read_deepseek_v2(const JsonReader& json);
ModelSpec read_deepseek_v3(const JsonReader& json);
ModelSpec read_gpt_oss(const JsonReader& json);

}  // namespace trainyard::huggingface
