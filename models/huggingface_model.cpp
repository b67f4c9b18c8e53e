// Hugging Face's config.json, read as downloaded.
#include <algorithm>

#include "models/huggingface_reading.hpp"

namespace trainyard {
namespace huggingface {
namespace {

using Reader = ModelSpec (*)(const JsonReader& json);
constexpr NameTable<Reader, 22> kReaders{{{{"gpt2", read_gpt2},
                                           {"bert", read_bert},
                                           {"mpt", read_mpt},
                                           {"bloom", read_bloom},
                                           {"t5", read_t5},
                                           {"vit", read_vit},
                                           {"llama", read_llama},
                                           {"mistral", read_mistral},
                                           {"mixtral", read_mixtral},
                                           {"qwen2", read_qwen2},
                                           {"qwen2_moe", read_qwen2_moe},
                                           {"qwen3", read_qwen3},
                                           {"qwen3_moe", read_qwen3_moe},
                                           {"deepseek_v2", read_deepseek_v2},
                                           {"deepseek_v3", read_deepseek_v3},
                                           {"gemma", read_gemma},
                                           {"gemma2", read_gemma2},
                                           {"gemma3", read_gemma3},
                                           {"gemma3_text", read_gemma3},
                                           {"gpt_oss", read_gpt_oss},
                                           {"internlm", read_internlm},
                                           {"internlm2", read_internlm2}}}};

}  // namespace

Presence presence(const JsonReader& json, std::string_view key, bool when_missing) {
  const auto found = json.find(key);
  return (found ? found->boolean() : when_missing) ? Presence::kPresent : Presence::kAbsent;
}

std::int64_t count(const JsonReader& json, std::string_view key, std::int64_t largest, std::int64_t when_missing) {
  const auto found = json.find(key);
  return found ? found->integer(0, largest) : when_missing;
}

Presence dropout(const JsonReader& json, std::initializer_list<std::string_view> keys, double when_missing) {
  double largest = 0.0;
  for (const std::string_view key : keys) {
    const auto found = json.find(key);
    largest = std::max(largest, found ? found->number(0.0, 1.0) : when_missing);
  }
  return largest > 0.0 ? Presence::kPresent : Presence::kAbsent;
}

void read_usual_sizes(const JsonReader& json, ModelSpec& model) {
  model.layers = json.at("num_hidden_layers").integer(1, ModelLimits::kLayers);
  model.hidden = json.at("hidden_size").integer(1, ModelLimits::kHidden);
  model.heads = json.at("num_attention_heads").integer(1, ModelLimits::kHeads);
  model.ffn = json.at("intermediate_size").integer(1, ModelLimits::kFfn);
  model.seq_len = json.at("max_position_embeddings").integer(1, ModelLimits::kSeqLen);
  const auto kv_heads = json.find("num_key_value_heads");
  model.kv_heads = kv_heads ? kv_heads->integer(1, ModelLimits::kHeads) : model.heads;
  const auto head_dim = json.find("head_dim");
  model.head_dim = head_dim ? head_dim->integer(1, ModelLimits::kHeadDim) : derived_head_dim(json, kUsualKeys, model);
}

}  // namespace huggingface

ModelSpec read_huggingface_model(const JsonReader& json, std::string_view name) {
  ModelSpec model = json.at("model_type").choice(huggingface::kReaders)(json);
  if (model.vocab == 0) {
    model.vocab = json.at("vocab_size").integer(1, ModelLimits::kVocab);
  }
  model.name = name;
  const auto* const gpt2 = "n_head";
  const bool usual = json.has(huggingface::kUsualKeys.heads);
  check_model(
      json,
      usual ? huggingface::kUsualKeys : ModelKeys{.hidden = "n_embd", .heads = gpt2, .kv_heads = gpt2, .head_dim = ""},
      model);
  return model;
}

}  // namespace trainyard
