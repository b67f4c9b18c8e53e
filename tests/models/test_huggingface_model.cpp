#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "models/model.hpp"
#include "sim/base/error.hpp"
#include "sim/base/files.hpp"

using namespace trainyard;

namespace {

ModelSpec read(const std::string& text) {
  const Json document = parse_json(text, "config.json");
  return read_model(JsonReader(document, "config.json"), "config");
}

Fault fault_of(const std::string& text) {
  try {
    read(text);
  } catch (const UserError& error) {
    CHECK(error.code() == ExitCode::kBadInput);
    return error.fault();
  }
  FAIL("no error was raised for " << text);
  return {};
}

// Keys and values as these models' config.json on the Hub have them, among them many that do not matter here.
constexpr const char* kGpt2 = R"({
  "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1, "bos_token_id": 50256,
  "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05,
  "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024,
  "resid_pdrop": 0.1, "summary_activation": null, "summary_first_dropout": 0.1,
  "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}}, "vocab_size": 50257})";

constexpr const char* kLlama3 = R"({
  "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 128000,
  "eos_token_id": 128001, "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02,
  "intermediate_size": 14336, "max_position_embeddings": 8192, "model_type": "llama", "num_attention_heads": 32,
  "num_hidden_layers": 32, "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
  "rope_scaling": null, "rope_theta": 500000.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
  "transformers_version": "4.40.0.dev0", "use_cache": true, "vocab_size": 128256})";

constexpr const char* kMistral = R"({
  "architectures": ["MistralForCausalLM"], "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336,
  "max_position_embeddings": 32768, "model_type": "mistral", "num_attention_heads": 32, "num_hidden_layers": 32,
  "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096,
  "tie_word_embeddings": false, "vocab_size": 32000})";

constexpr const char* kQwen2 = R"({
  "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "hidden_act": "silu", "hidden_size": 896,
  "intermediate_size": 4864, "max_position_embeddings": 131072, "max_window_layers": 24, "model_type": "qwen2",
  "num_attention_heads": 14, "num_hidden_layers": 24, "num_key_value_heads": 2, "sliding_window": 131072,
  "tie_word_embeddings": true, "use_sliding_window": false, "vocab_size": 151936})";

constexpr const char* kBert = R"({
  "architectures": ["BertForMaskedLM"], "attention_probs_dropout_prob": 0.1, "gradient_checkpointing": false,
  "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 768, "intermediate_size": 3072,
  "layer_norm_eps": 1e-12, "max_position_embeddings": 512, "model_type": "bert", "num_attention_heads": 12,
  "num_hidden_layers": 12, "pad_token_id": 0, "position_embedding_type": "absolute", "type_vocab_size": 2,
  "vocab_size": 30522})";

std::string with(const char* text, const std::string& key, const std::string& value) {
  Json document = parse_json(text, "config.json");
  document[key] = parse_json(value, "value");
  return document.dump();
}

std::string without(const char* text, const std::string& key) {
  Json document = parse_json(text, "config.json");
  document.erase(key);
  return document.dump();
}

}  // namespace

TEST_CASE("Hugging Face files of all supported types give the published parameter counts") {
  CHECK(parameters(read(kGpt2)) == 124'439'808);
  CHECK(parameters(read(kLlama3)) == 8'030'261'248);
  CHECK(parameters(read(kMistral)) == 7'241'732'096);
  CHECK(parameters(read(kQwen2)) == 494'032'768);  // Qwen2-0.5B: biases on Q, K, V and tied embeddings
  CHECK(parameters(read(kBert)) == 109'482'240);
}

TEST_CASE("a Hugging Face file describes the same model as the catalogue") {
  const ModelSpec imported = read(kLlama3);
  const ModelSpec catalogued = load_model("llama-3-8b");
  CHECK(imported.family == catalogued.family);
  CHECK(imported.kv_heads == catalogued.kv_heads);
  CHECK(imported.head_dim == catalogued.head_dim);
  CHECK(imported.normalization == catalogued.normalization);
  CHECK(imported.activation == catalogued.activation);
  CHECK(imported.positions == catalogued.positions);
  CHECK(imported.dropout == catalogued.dropout);
  CHECK(flops_per_token(imported, 8192) == flops_per_token(catalogued, 8192));
  CHECK(read(kBert).mask == Mask::kFull);
  CHECK(read(kBert).dropout == Presence::kPresent);
}

TEST_CASE("missing and null keys take Hugging Face's defaults") {
  CHECK(read(with(kGpt2, "n_inner", "null")).ffn == 3072);
  CHECK(read(with(kGpt2, "n_inner", "1000")).ffn == 1000);
  CHECK(read(without(kGpt2, "n_positions")).seq_len == 1024);  // the older n_ctx
  CHECK(read(kGpt2).tied_embeddings == Presence::kPresent);
  CHECK(read(without(kLlama3, "num_key_value_heads")).kv_heads == 32);
  CHECK(read(with(kLlama3, "num_key_value_heads", "null")).kv_heads == 32);
  CHECK(read(without(kLlama3, "tie_word_embeddings")).tied_embeddings == Presence::kAbsent);
  CHECK(read(without(kQwen2, "tie_word_embeddings")).tied_embeddings == Presence::kAbsent);
  CHECK(read(without(kBert, "type_vocab_size")).token_types == 2);
  CHECK(read(with(kLlama3, "head_dim", "null")).head_dim == 128);
  CHECK(read(with(kLlama3, "head_dim", "64")).head_dim == 64);
}

TEST_CASE("biases and dropout follow the file") {
  // attention_bias puts biases on Q, K, V (4096 + 2 x 1024) and on the output (4096); mlp_bias on 2 f + h.
  CHECK(layer_parameters(read(with(kLlama3, "attention_bias", "true")), {}) - layer_parameters(read(kLlama3), {}) ==
        10240);
  CHECK(layer_parameters(read(with(kLlama3, "mlp_bias", "true")), {}) - layer_parameters(read(kLlama3), {}) == 32768);
  CHECK(read(kLlama3).dropout == Presence::kAbsent);
  CHECK(read(with(kLlama3, "attention_dropout", "0.1")).dropout == Presence::kPresent);
  Json no_dropout = parse_json(kGpt2, "config.json");
  for (const char* key : {"attn_pdrop", "embd_pdrop", "resid_pdrop"}) {
    no_dropout[key] = 0.0;
  }
  CHECK(read(no_dropout.dump()).dropout == Presence::kAbsent);
}

TEST_CASE("an unsupported model_type lists the supported ones") {
  const Fault fault = fault_of(with(kLlama3, "model_type", "\"mamba\""));
  CHECK(fault.pointer == "/model_type");
  CHECK(fault.found == "\"mamba\"");
  CHECK(fault.allowed ==
        "gpt2, bert, mpt, bloom, t5, vit, llama, mistral, mixtral, qwen2, qwen2_moe, qwen3, qwen3_moe, "
        "deepseek_v2, deepseek_v3, gemma, gemma2, gemma3, gemma3_text, gpt_oss, internlm, internlm2");
  CHECK(fault_of(with(kLlama3, "model_type", "7")).pointer == "/model_type");
}

TEST_CASE("sizes are never defaulted, and bad ones are refused with their key") {
  struct Sizes {
    const char* text;
    std::vector<std::string> keys;
  };
  for (const Sizes& sizes : {Sizes{kGpt2, {"n_embd", "n_layer", "n_head", "vocab_size"}},
                             Sizes{kLlama3,
                                   {"hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
                                    "max_position_embeddings", "vocab_size"}},
                             Sizes{kBert, {"hidden_size", "num_hidden_layers", "intermediate_size", "vocab_size"}}}) {
    for (const std::string& key : sizes.keys) {
      CAPTURE(key);
      CHECK(fault_of(without(sizes.text, key)).problem == "missing key");
      CHECK(fault_of(without(sizes.text, key)).pointer == "/" + key);
      for (const char* bad : {"-1", "0", "0.5", "1e30", "\"8\"", "false", "{}"}) {
        CAPTURE(bad);
        CHECK(fault_of(with(sizes.text, key, bad)).pointer == "/" + key);
      }
    }
  }
  CHECK(fault_of(with(kLlama3, "num_key_value_heads", "5")).pointer == "/num_key_value_heads");
  CHECK(fault_of(with(kGpt2, "n_head", "7")).pointer == "/n_head");
  CHECK(fault_of(with(kLlama3, "attention_dropout", "2")).pointer == "/attention_dropout");
  CHECK(fault_of(with(kLlama3, "tie_word_embeddings", "\"no\"")).pointer == "/tie_word_embeddings");
  CHECK(fault_of(std::string(kLlama3).substr(0, 200)).problem == "not valid JSON");
}

TEST_CASE("a file or its folder can be named, and names the model") {
  const auto folder = std::filesystem::temp_directory_path() / "trainyard-test-models" / "Tiny-Llama";
  std::filesystem::create_directories(folder);
  write_file(folder / "config.json", kLlama3);
  CHECK(load_model((folder / "config.json").string()).name == "Tiny-Llama");
  CHECK(parameters(load_model(folder.string())) == 8'030'261'248);
  write_file(folder / "other.json", R"({"family":"gpt","layers":2,"hidden":64,"heads":4,"vocab":9,"seq_len":8})");
  CHECK(load_model((folder / "other.json").string()).name == "other");
  write_file(folder / "other.json", "{\"family\":");
  CHECK_THROWS_AS(load_model((folder / "other.json").string()), UserError);
  std::filesystem::remove_all(folder.parent_path());
}
