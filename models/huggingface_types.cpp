// The model_types of config.json that are read: one row each.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "models/huggingface_reading.hpp"

namespace trainyard::huggingface {
namespace {

constexpr SizeKeys kGptKeys{.hidden = "n_embd|hidden_size",
                            .ffn = "n_inner",
                            .layers = "n_layer|num_hidden_layers",
                            .heads = "n_head|num_attention_heads",
                            .kv_heads = "",
                            .head_dim = "",
                            .positions = "n_positions|n_ctx|max_position_embeddings"};
constexpr SizeKeys kNeoKeys{
    .layers = "num_layers|num_hidden_layers", .heads = "num_heads|num_attention_heads", .kv_heads = "", .head_dim = ""};
constexpr SizeKeys kEncoderKeys{.kv_heads = "", .head_dim = ""};
// What a class and a token are, the pictures say.
constexpr SizeKeys kVisionKeys{.vocab = "", .kv_heads = "", .head_dim = "", .positions = ""};
constexpr SizeKeys kOptKeys{.ffn = "ffn_dim", .kv_heads = "", .head_dim = ""};
constexpr SizeKeys kFalconKeys{.hidden = "hidden_size|n_embed",
                               .ffn = "ffn_hidden_size",
                               .layers = "num_hidden_layers|n_layer",
                               .heads = "num_attention_heads|n_head",
                               .kv_heads = "num_kv_heads|n_head_kv",
                               .head_dim = ""};
constexpr SizeKeys kBloomKeys{.hidden = "hidden_size|n_embed",
                              .ffn = "",
                              .layers = "n_layer|num_hidden_layers",
                              .heads = "n_head|num_attention_heads",
                              .kv_heads = "",
                              .head_dim = "",
                              .positions = "seq_length"};
constexpr SizeKeys kMptKeys{.hidden = "d_model",
                            .ffn = "",
                            .layers = "n_layers",
                            .heads = "n_heads",
                            .kv_heads = "",
                            .head_dim = "",
                            .positions = "max_seq_len"};
constexpr SizeKeys kT5Keys{.hidden = "d_model",
                           .ffn = "d_ff",
                           .layers = "num_layers",
                           .heads = "num_heads",
                           .kv_heads = "",
                           .head_dim = "d_kv",
                           .positions = "n_positions"};
constexpr SizeKeys kQwenKeys{.kv_heads = "", .head_dim = "kv_channels", .positions = "seq_length"};
constexpr SizeKeys kChatGlmKeys{.vocab = "padded_vocab_size",
                                .ffn = "ffn_hidden_size",
                                .layers = "num_layers",
                                .kv_heads = "",
                                .head_dim = "kv_channels",
                                .positions = "seq_length"};
constexpr SizeKeys kBaichuanKeys{
    .kv_heads = "", .head_dim = "", .positions = "max_position_embeddings|model_max_length"};
// Of latent attention: heads of keys are as many as of queries, whatever the file says.
constexpr SizeKeys kLatentKeys{.kv_heads = "", .head_dim = ""};
constexpr SizeKeys kLlama4Keys{.ffn = "intermediate_size_mlp"};

constexpr ClassSizes kLlama{32'000, 4096, 11'008, 32, 32, 0, 0, 2048};
constexpr ClassSizes kQwen2{151'936, 4096, 22'016, 32, 32, 32, 0, 32'768};
constexpr ClassSizes kQwen2Vl{152'064, 8192, 29'568, 80, 64, 8, 0, 32'768};
constexpr ClassSizes kQwen3{151'936, 4096, 22'016, 32, 32, 32, 128, 32'768};
constexpr ClassSizes kGemma3{262'208, 2304, 9216, 26, 8, 4, 256, 131'072};
constexpr ClassSizes kDeepseekV3{129'280, 7168, 18'432, 61, 128, 0, 0, 4096};
constexpr ClassSizes kBert{30'522, 768, 3072, 12, 12, 0, 0, 512};
constexpr ClassSizes kRoberta{50'265, 768, 3072, 12, 12, 0, 0, 512};
constexpr ClassSizes kGlm{151'552, 4096, 13'696, 40, 32, 2, 128, 131'072};
constexpr ClassSizes kGptJ{50'400, 4096, 0, 28, 16, 0, 0, 2048};

using Row = std::pair<std::string_view, ModelType>;
constexpr auto kTypes = std::to_array<Row>({
    {"gpt2", {"gpt", {50'257, 768, 0, 12, 12, 0, 0, 1024}, Tied::kYes, read_gpt2, kGptKeys}},
    {"gpt_bigcode", {"gpt", {50'257, 768, 0, 12, 12, 0, 0, 1024}, Tied::kYes, read_gpt_bigcode, kGptKeys}},
    {"gpt_neo", {"gpt", {50'257, 2048, 0, 24, 16, 0, 0, 2048}, Tied::kYes, read_gpt_neo, kNeoKeys}},
    {"gptj", {"gpt", kGptJ, Tied::kNo, read_gptj, kGptKeys}},
    {"codegen", {"gpt", kGptJ, Tied::kNo, read_gptj, kGptKeys}},
    {"gpt_neox", {"gpt", {50'432, 6144, 24'576, 44, 64, 0, 0, 2048}, Tied::kNo, read_gpt_neox, kEncoderKeys}},
    {"opt", {"gpt", {50'272, 768, 3072, 12, 12, 0, 0, 2048}, Tied::kYes, read_opt, kOptKeys}},
    {"falcon", {"gpt", {65'024, 4544, 0, 32, 71, 0, 0, 2048}, Tied::kYes, read_falcon, kFalconKeys}},
    {"bert", {"bert", kBert, Tied::kYes, read_bert, kEncoderKeys}},
    {"roberta", {"bert", kRoberta, Tied::kYes, read_roberta, kEncoderKeys}},
    {"xlm-roberta", {"bert", kRoberta, Tied::kYes, read_roberta, kEncoderKeys}},
    {"camembert", {"bert", kRoberta, Tied::kYes, read_roberta, kEncoderKeys}},
    {"mpt", {"mpt", {50'368, 2048, 0, 24, 16, 0, 0, 2048}, Tied::kYes, read_mpt, kMptKeys}},
    // Every published BLOOM was trained on 2048 tokens; ALiBi needs no table.
    {"bloom", {"bloom", {250'880, 64, 0, 2, 8, 0, 0, 2048}, Tied::kYes, read_bloom, kBloomKeys}},
    // T5 and mT5 were pre-trained on 512 tokens; relative positions need no table.
    {"t5", {"t5", {32'128, 512, 2048, 6, 8, 0, 64, 512}, Tied::kYes, read_t5, kT5Keys}},
    {"mt5", {"t5", {250'112, 512, 1024, 8, 6, 0, 64, 512}, Tied::kNo, read_mt5, kT5Keys}},
    {"vit", {"vit", {0, 768, 3072, 12, 12, 0, 0, 0}, Tied::kNo, read_vit, kVisionKeys}},
    {"llama", {"llama", kLlama, Tied::kNo, read_llama}},
    {"mistral", {"llama", {32'000, 4096, 14'336, 32, 32, 8, 0, 131'072}, Tied::kNo, read_mistral}},
    {"mixtral", {"llama", {32'000, 4096, 14'336, 32, 32, 8, 0, 131'072}, Tied::kNo, read_mixtral}},
    {"llama4", {"llama", {202'048, 5120, 16'384, 48, 40, 8, 128, 131'072}, Tied::kNo, read_llama4, kLlama4Keys}},
    {"llama4_text", {"llama", {202'048, 5120, 16'384, 48, 40, 8, 128, 131'072}, Tied::kNo, read_llama4, kLlama4Keys}},
    {"qwen", {"llama", {151'936, 4096, 22'016, 32, 32, 0, 128, 8192}, Tied::kNo, read_qwen, kQwenKeys}},
    {"qwen2", {"llama", kQwen2, Tied::kNo, read_qwen2}},
    {"qwen2_vl", {"llama", kQwen2Vl, Tied::kNo, read_qwen2}},
    {"qwen2_vl_text", {"llama", kQwen2Vl, Tied::kNo, read_qwen2}},
    {"qwen2_5_vl", {"llama", kQwen2Vl, Tied::kNo, read_qwen2}},
    {"qwen2_5_vl_text", {"llama", kQwen2Vl, Tied::kNo, read_qwen2}},
    {"qwen2_moe", {"llama", {151'936, 2048, 5632, 24, 16, 16, 0, 32'768}, Tied::kNo, read_qwen2_moe}},
    {"qwen3", {"qwen3", kQwen3, Tied::kNo, read_qwen3}},
    {"qwen3_vl_text", {"qwen3", kQwen3, Tied::kNo, read_qwen3}},
    {"qwen3_moe", {"qwen3", {151'936, 2048, 6144, 24, 32, 4, 0, 32'768}, Tied::kNo, read_qwen3_moe}},
    {"qwen3_vl_moe_text", {"qwen3", {151'936, 2048, 5632, 24, 16, 16, 0, 128'000}, Tied::kNo, read_qwen3_moe}},
    {"deepseek", {"llama", {102'400, 4096, 11'008, 30, 32, 0, 0, 2048}, Tied::kNo, read_deepseek}},
    {"deepseek_v2", {"llama", kLlama, Tied::kNo, read_deepseek_v2, kLatentKeys}},
    {"deepseek_v3", {"llama", kDeepseekV3, Tied::kNo, read_deepseek_v3, kLatentKeys}},
    {"kimi_k2", {"llama", kDeepseekV3, Tied::kNo, read_deepseek_v3, kLatentKeys}},
    {"gemma", {"gemma", {256'000, 3072, 24'576, 28, 16, 16, 256, 8192}, Tied::kYes, read_gemma}},
    {"gemma2", {"gemma", {256'000, 2304, 9216, 26, 8, 4, 256, 8192}, Tied::kYes, read_gemma2}},
    {"gemma3", {"gemma", kGemma3, Tied::kYes, read_gemma3}},
    {"gemma3_text", {"gemma", kGemma3, Tied::kYes, read_gemma3}},
    {"gpt_oss", {"llama", {201'088, 2880, 2880, 36, 64, 8, 64, 131'072}, Tied::kNo, read_gpt_oss}},
    {"internlm", {"llama", {103'168, 4096, 11'008, 32, 32, 0, 0, 2048}, Tied::kNo, read_internlm}},
    {"internlm2", {"llama", {103'168, 4096, 11'008, 32, 32, 0, 0, 2048}, Tied::kNo, read_internlm}},
    {"internlm3", {"llama", {128'512, 4096, 11'008, 32, 32, 0, 0, 32'768}, Tied::kNo, read_internlm3}},
    {"phi", {"llama", {51'200, 2048, 8192, 24, 32, 0, 0, 2048}, Tied::kNo, read_phi}},
    {"phi3", {"llama", {32'064, 3072, 8192, 32, 32, 0, 0, 4096}, Tied::kNo, read_phi3}},
    {"phimoe", {"llama", {32'064, 4096, 6400, 32, 32, 8, 0, 131'072}, Tied::kNo, read_phimoe}},
    {"cohere", {"llama", {256'000, 8192, 22'528, 40, 64, 0, 0, 8192}, Tied::kYes, read_cohere}},
    {"cohere2", {"llama", {256'000, 8192, 22'528, 40, 64, 0, 0, 8192}, Tied::kYes, read_cohere2}},
    {"olmo2", {"llama", {50'304, 4096, 11'008, 32, 32, 0, 0, 2048}, Tied::kNo, read_olmo2}},
    {"olmoe", {"llama", {50'304, 2048, 2048, 16, 16, 0, 0, 4096}, Tied::kNo, read_olmoe}},
    {"stablelm", {"llama", {50'304, 2560, 6912, 32, 32, 32, 0, 4096}, Tied::kNo, read_stablelm}},
    {"starcoder2", {"gpt", {49'152, 3072, 12'288, 30, 24, 2, 0, 4096}, Tied::kYes, read_starcoder2}},
    {"nemotron", {"llama", {256'000, 6144, 24'576, 32, 48, 0, 0, 4096}, Tied::kNo, read_nemotron}},
    {"granite", {"llama", kLlama, Tied::kNo, read_llama}},
    {"smollm3", {"llama", {128'256, 2048, 11'008, 36, 16, 4, 0, 32'768}, Tied::kYes, read_llama}},
    {"minicpm", {"llama", kLlama, Tied::kYes, read_llama}},
    {"baichuan", {"llama", {125'696, 4096, 11'008, 32, 32, 0, 0, 4096}, Tied::kNo, read_baichuan, kBaichuanKeys}},
    {"seed_oss", {"llama", {155'136, 4096, 27'648, 64, 80, 8, 128, 524'288}, Tied::kNo, read_seed_oss}},
    {"ernie4_5", {"llama", {103'424, 1024, 3072, 18, 16, 2, 128, 131'072}, Tied::kYes, read_ernie}},
    {"chatglm", {"llama", {65'024, 4096, 13'696, 28, 32, 0, 128, 2048}, Tied::kNo, read_chatglm, kChatGlmKeys}},
    {"glm", {"llama", kGlm, Tied::kNo, read_glm}},
    {"glm4", {"llama", kGlm, Tied::kNo, read_glm4}},
    {"glm4_moe", {"llama", {151'552, 4096, 10'944, 46, 96, 8, 0, 131'072}, Tied::kNo, read_glm4_moe}},
    {"dbrx", {"mpt", {32'000, 2048, 0, 24, 16, 0, 0, 2048}, Tied::kNo, read_dbrx, kMptKeys}},
});

const Row* find(std::string_view type) {
  const auto* const found =
      std::find_if(kTypes.begin(), kTypes.end(), [type](const Row& row) { return row.first == type; });
  return found == kTypes.end() ? nullptr : found;
}

}  // namespace

std::vector<std::string> model_types() {
  std::vector<std::string> names;
  for (const Row& row : kTypes) {
    names.emplace_back(row.first);
  }
  return names;
}

bool is_model_type(std::string_view type) {
  return find(type) != nullptr;
}

const ModelType& model_type(const JsonReader& type) {
  const std::string name = type.text();
  if (const Row* const row = find(name)) {
    return row->second;
  }
  const std::vector<std::string> names = model_types();
  throw UserError({.file = type.file(),
                   .pointer = type.pointer(),
                   .found = fmt::format("\"{}\"", name),
                   .allowed = join_names(names),
                   .nearest = nearest_name(name, names).value_or(""),
                   .problem = "unknown model_type",
                   .remedy = "see trainyard list families; where the architecture is one of them under another name, "
                             "change model_type, else describe it by the catalogue's keys (models/README.md)"});
}

}  // namespace trainyard::huggingface
