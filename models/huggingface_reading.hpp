#pragma once
// The room's own: what the readers of Hugging Face's config.json share. Defaults are those of the configuration classes
// in huggingface/transformers, src/transformers/models/<model_type>/configuration_<model_type>.py, or of the class that
// is published beside the weights where a model_type is none of the library's. What does not change shapes is ignored.
#include <initializer_list>
#include <string_view>

#include "models/model_reading.hpp"

namespace trainyard::huggingface {

// Keys of the sizes; where a class has several names for one, with | between them.
struct SizeKeys {
  std::string_view vocab = "vocab_size";  // empty: what read_details makes of the file
  std::string_view hidden = "hidden_size";
  std::string_view ffn = "intermediate_size";
  std::string_view layers = "num_hidden_layers";
  std::string_view heads = "num_attention_heads";
  std::string_view kv_heads = "num_key_value_heads";       // empty: as many as heads
  std::string_view head_dim = "head_dim";                  // empty: hidden / heads
  std::string_view positions = "max_position_embeddings";  // likewise
};

// Sizes that the class has where config.json leaves them out. Zero: an MLP of 4 x hidden, as many key and value heads
// as heads, heads of hidden / heads.
struct ClassSizes {
  std::int64_t vocab = 0;
  std::int64_t hidden = 0;
  std::int64_t ffn = 0;
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t positions = 0;
};

enum class Tied { kNo, kYes };

// What a model_type is: the family whose layer it has, its class's sizes, and what else its file says.
struct ModelType {
  std::string_view family;
  ClassSizes sizes;
  Tied tied = Tied::kNo;
  void (*read_details)(const JsonReader& json, ModelSpec& model) = nullptr;
  SizeKeys keys{};
};

// All types, and the one that `model_type` names. Throws UserError that lists them.
std::vector<std::string> model_types();
const ModelType& model_type(const JsonReader& type);
bool is_model_type(std::string_view type);

// A key is stated when the file has it, be it null: null is the class's None, not its default.
bool states(const JsonReader& json, std::string_view key);
// The first of the names between | that the file states; else the first.
std::string_view name_in(const JsonReader& json, std::string_view names);
Presence presence(const JsonReader& json, std::string_view key, bool when_missing);
std::int64_t count(const JsonReader& json, std::string_view key, std::int64_t largest, std::int64_t when_missing);
// The same of what cannot be none.
std::int64_t positive(const JsonReader& json, std::string_view key, std::int64_t largest, std::int64_t when_missing);
// One of the sizes, at least 1; the class's own is taken where the file states none, and said in the model's notes.
std::int64_t size(const JsonReader& json, std::string_view key, std::int64_t largest, std::int64_t of_class,
                  ModelSpec& model);
// Keys that a windowed layer sees; null: all.
std::int64_t window(const JsonReader& json, std::int64_t of_class);
// Present when any of the probabilities is above zero.
Presence dropout(const JsonReader& json, std::initializer_list<std::string_view> keys, double when_missing);

// What the files of one or several types say beside their sizes.
void read_gpt2(const JsonReader& json, ModelSpec& model);
void read_gpt_bigcode(const JsonReader& json, ModelSpec& model);
void read_gpt_neo(const JsonReader& json, ModelSpec& model);
void read_gptj(const JsonReader& json, ModelSpec& model);
void read_gpt_neox(const JsonReader& json, ModelSpec& model);
void read_opt(const JsonReader& json, ModelSpec& model);
void read_falcon(const JsonReader& json, ModelSpec& model);
void read_bert(const JsonReader& json, ModelSpec& model);
void read_roberta(const JsonReader& json, ModelSpec& model);
void read_mpt(const JsonReader& json, ModelSpec& model);
void read_bloom(const JsonReader& json, ModelSpec& model);
void read_t5(const JsonReader& json, ModelSpec& model);
void read_mt5(const JsonReader& json, ModelSpec& model);
void read_vit(const JsonReader& json, ModelSpec& model);

void read_llama(const JsonReader& json, ModelSpec& model);
void read_mistral(const JsonReader& json, ModelSpec& model);
void read_qwen(const JsonReader& json, ModelSpec& model);
void read_qwen2(const JsonReader& json, ModelSpec& model);
void read_qwen3(const JsonReader& json, ModelSpec& model);
void read_internlm(const JsonReader& json, ModelSpec& model);
void read_internlm3(const JsonReader& json, ModelSpec& model);
void read_gemma(const JsonReader& json, ModelSpec& model);
void read_gemma2(const JsonReader& json, ModelSpec& model);
void read_gemma3(const JsonReader& json, ModelSpec& model);
void read_phi(const JsonReader& json, ModelSpec& model);
void read_phi3(const JsonReader& json, ModelSpec& model);
void read_cohere(const JsonReader& json, ModelSpec& model);
void read_cohere2(const JsonReader& json, ModelSpec& model);
void read_olmo2(const JsonReader& json, ModelSpec& model);
void read_stablelm(const JsonReader& json, ModelSpec& model);
void read_starcoder2(const JsonReader& json, ModelSpec& model);
void read_nemotron(const JsonReader& json, ModelSpec& model);
void read_seed_oss(const JsonReader& json, ModelSpec& model);
void read_glm(const JsonReader& json, ModelSpec& model);
void read_glm4(const JsonReader& json, ModelSpec& model);
void read_chatglm(const JsonReader& json, ModelSpec& model);
void read_baichuan(const JsonReader& json, ModelSpec& model);
void read_ernie(const JsonReader& json, ModelSpec& model);

void read_mixtral(const JsonReader& json, ModelSpec& model);
void read_phimoe(const JsonReader& json, ModelSpec& model);
void read_olmoe(const JsonReader& json, ModelSpec& model);
void read_dbrx(const JsonReader& json, ModelSpec& model);
void read_qwen2_moe(const JsonReader& json, ModelSpec& model);
void read_qwen3_moe(const JsonReader& json, ModelSpec& model);
void read_deepseek(const JsonReader& json, ModelSpec& model);
void read_deepseek_v2(const JsonReader& json, ModelSpec& model);
void read_deepseek_v3(const JsonReader& json, ModelSpec& model);
void read_glm4_moe(const JsonReader& json, ModelSpec& model);
void read_gpt_oss(const JsonReader& json, ModelSpec& model);
void read_llama4(const JsonReader& json, ModelSpec& model);

}  // namespace trainyard::huggingface
