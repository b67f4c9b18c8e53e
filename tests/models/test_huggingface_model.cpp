#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <string>

#include "models/load_model.hpp"
#include "models/model.hpp"
#include "sim/base/error.hpp"
#include "sim/base/files.hpp"

using namespace trainyard;

namespace test_huggingface_model {

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

constexpr const char* kT5 = R"({"model_type": "t5", "d_ff": 64, "d_model": 32, "num_heads": 2, "d_kv": 16,
    "num_layers": 2, "vocab_size": 100})";
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

TEST_CASE("an unsupported model_type lists the supported ones and says where to read on") {
  const Fault fault = fault_of(with(kLlama3, "model_type", "\"mamba\""));
  CHECK(fault.pointer == "/model_type");
  CHECK(fault.found == "\"mamba\"");
  CHECK(fault.allowed == join_names(huggingface_model_types()));
  CHECK(fault.allowed.starts_with("gpt2, "));
  CHECK(fault.remedy.find("list families") != std::string::npos);
  CHECK(fault_of(with(kLlama3, "model_type", "\"qwen2moe\"")).nearest == "qwen2_moe");
  CHECK(fault_of(with(kLlama3, "model_type", "7")).pointer == "/model_type");
  CHECK(fault_of(without(kLlama3, "model_type")).remedy.find("list families") != std::string::npos);
}

TEST_CASE("sizes that config.json leaves out are the configuration class's, and said") {
  // transformers' LlamaConfig(): the 7B of the first Llama, 2 x 32000 x 4096 + 32 layers of 202,383,360 + 4096.
  const ModelSpec llama = read(R"({"model_type": "llama"})");
  CHECK(parameters(llama) == 6'738'415'616);
  CHECK(llama.seq_len == 2048);
  REQUIRE(llama.notes.size() == 1);
  for (const char* said : {"hidden_size 4096", "num_hidden_layers 32", "num_attention_heads 32", "vocab_size 32000",
                           "intermediate_size 11008", "max_position_embeddings 2048"}) {
    CHECK(llama.notes.front().find(said) != std::string::npos);
  }
  CHECK(read(kLlama3).notes.empty());
  CHECK(read(without(kLlama3, "max_position_embeddings")).seq_len == 2048);
  // Where the class has its own number of key and value heads, missing is not null.
  CHECK(read(without(kMistral, "num_key_value_heads")).kv_heads == 8);
  CHECK(read(with(kMistral, "num_key_value_heads", "null")).kv_heads == 32);
  CHECK(read(without(kMistral, "sliding_window")).window == 4096);
  CHECK(read(with(kMistral, "sliding_window", "null")).window == 0);
  CHECK(read(R"({"model_type": "gemma2"})").attention_soft_cap == Presence::kPresent);
  CHECK(read(R"({"model_type": "gemma2", "attn_logit_softcapping": null})").attention_soft_cap == Presence::kAbsent);
  CHECK(read(R"({"model_type": "mpt"})").positions == Positions::kAlibi);
}

TEST_CASE("bad sizes are refused with their key") {
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
  CHECK(fault_of(with(kLlama3, "hidden_act", "\"silo\"")).nearest == "silu");
  CHECK(fault_of(std::string(kLlama3).substr(0, 200)).problem == "not valid JSON");
}

TEST_CASE("counts that cannot be none are refused with their key, not taken as one") {
  for (const auto& [type, key] :
       {std::pair{"vit", "patch_size"}, std::pair{"vit", "image_size"}, std::pair{"vit", "num_channels"},
        std::pair{"vit", "num_labels"}, std::pair{"t5", "num_decoder_layers"},
        std::pair{"qwen3_moe", "decoder_sparse_step"}, std::pair{"llama4_text", "interleave_moe_layer_step"}}) {
    CAPTURE(key);
    CHECK(fault_of(fmt::format(R"({{"model_type": "{}", "{}": 0}})", type, key)).pointer == fmt::format("/{}", key));
  }
  CHECK(fault_of(R"({"model_type": "vit", "patch_size": 225})").pointer == "/patch_size");  // of 224
  CHECK(fault_of(R"({"model_type": "vit", "image_size": 8})").pointer == "/image_size");    // patches of 16
}

TEST_CASE("where no layer is one with experts the model is dense, and says so") {
  const ModelSpec model = read(R"({"model_type": "qwen3_moe", "num_hidden_layers": 4, "decoder_sparse_step": 5})");
  CHECK_FALSE(model.experts.has_value());
  CHECK(model.notes.back().find("all are dense") != std::string::npos);
}

TEST_CASE("every name of a gated activation means three matrices, in families with and without a gate") {
  const auto matrices = [](const char* text, const char* key, const char* name) {
    return read(with(text, key, fmt::format("\"{}\"", name))).gated() ? 3 : 2;
  };
  for (const char* gated : {"gated-silu", "gated-gelu", "gated-relu", "gated-gelu_new", "gated-swish", "swiglu",
                            "geglu", "SwiGLU", "reglu", "glu"}) {
    CAPTURE(gated);
    CHECK(matrices(kT5, "feed_forward_proj", gated) == 3);
    CHECK(matrices(kGpt2, "activation_function", gated) == 3);
    CHECK(matrices(kLlama3, "hidden_act", gated) == 3);
  }
  for (const char* plain : {"relu", "gelu", "gelu_new", "silu"}) {
    CAPTURE(plain);
    CHECK(matrices(kT5, "feed_forward_proj", plain) == 2);
    CHECK(matrices(kGpt2, "activation_function", plain) == 2);
    CHECK(matrices(kLlama3, "hidden_act", plain) == 3);  // Llama's layer has a gate whatever its name
  }
}

TEST_CASE("attention that looks both ways has a full mask") {
  CHECK(read(kLlama3).mask == Mask::kCausal);
  CHECK(read(with(kLlama3, "use_bidirectional_attention", "true")).mask == Mask::kFull);
  CHECK(read(with(kLlama3, "use_bidirectional_attention", "\"all\"")).mask == Mask::kFull);
  CHECK(read(with(kLlama3, "use_bidirectional_attention", "\"vision\"")).mask == Mask::kCausal);
  CHECK(read(with(kLlama3, "use_bidirectional_attention", "false")).mask == Mask::kCausal);
  CHECK(read(with(kQwen2, "is_causal", "false")).mask == Mask::kFull);
  CHECK(read(kBert).mask == Mask::kFull);
  CHECK(read(with(kBert, "is_decoder", "true")).mask == Mask::kCausal);
  CHECK(read(with(kBert, "is_decoder", "false")).mask == Mask::kFull);
}

TEST_CASE("types of layers decide over the family's windows") {
  const auto layers = [](int count, int global_every) {
    std::string out = "[";
    for (int layer = 1; layer <= count; ++layer) {
      out += fmt::format("{}\"{}\"", layer == 1 ? "" : ", ",
                         global_every > 0 && layer % global_every == 0 ? "full_attention" : "sliding_attention");
    }
    return out + "]";
  };
  const int count = static_cast<int>(read(kLlama3).layers);
  const std::string windowed = with(kLlama3, "sliding_window", "512");
  CHECK(read(windowed).window == 0);  // Llama's class knows none
  const ModelSpec every_fourth = read(with(windowed.c_str(), "layer_types", layers(count, 4)));
  CHECK(every_fourth.window == 512);
  CHECK(every_fourth.global_every == 4);
  CHECK(read(with(windowed.c_str(), "layer_types", layers(count, 0))).global_every == 0);
  CHECK(read(with(windowed.c_str(), "layer_types", layers(count, 0))).window == 512);
  CHECK(read(with(windowed.c_str(), "layer_types", layers(count, 1))).window == 0);
  CHECK_THROWS_AS(read(with(windowed.c_str(), "layer_types", layers(count - 1, 4))), UserError);
  CHECK_THROWS_AS(read(with(kLlama3, "layer_types", layers(count, 4))), UserError);  // how large is the window?
  CHECK_THROWS_AS(read(with(windowed.c_str(), "layer_types", "[\"linear_attention\"]")), UserError);
}

TEST_CASE("heads that are not the family's own are said, and weights that are stored quantized") {
  const auto notes = [](const std::string& text) {
    std::string out;
    for (const std::string& note : read(text).notes) {
      out += note + "\n";
    }
    return out;
  };
  CHECK(notes(with(kLlama3, "architectures", "[\"LlamaForCausalLM\"]")) == notes(std::string(kLlama3)));
  CHECK(notes(with(kLlama3, "architectures", "[\"LlamaForSequenceClassification\"]")).find("output matrix and loss") !=
        std::string::npos);
  CHECK(notes(with(kT5, "architectures", "[\"T5EncoderModel\"]")).find("decoder and output matrix included") !=
        std::string::npos);
  CHECK(notes(with(kLlama3, "quantization_config", "{\"bits\": 4}")).find("quantization_config") != std::string::npos);
}

TEST_CASE("towers beside the language model are left out aloud") {
  const std::string text = fmt::format(R"({{"model_type": "llava", "text_config": {}, "vision_config": {{"a": 1}},
      "audio_config": {{"b": 2}}}})",
                                       kLlama3);
  const ModelSpec model = read(text);
  CHECK(parameters(model) == 8'030'261'248);
  REQUIRE(model.notes.size() == 1);
  CHECK(model.notes.front().find("vision_config, audio_config") != std::string::npos);
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
  // Python's json writes what no JSON has: it is read, and what is wrong is said of the rest.
  std::string python(kLlama3);
  python.insert(1, R"("limits": [0.0, Infinity, -Infinity, NaN], "text": "Infinity \" NaN", )");
  write_file(folder / "other.json", python);
  CHECK(parameters(load_model((folder / "other.json").string())) == 8'030'261'248);
  write_file(folder / "other.json", R"({"model_type": "nemotron_h", "time_step_limit": [0.0, Infinity]})");
  try {
    load_model((folder / "other.json").string());
    FAIL("nemotron_h is not supported");
  } catch (const UserError& error) {
    CHECK(error.fault().pointer == "/model_type");
  }
  write_file(folder / "other.json", R"({"model_type": "llama", "hidden_size": Infinity})");
  CHECK_THROWS_AS(load_model((folder / "other.json").string()), UserError);
  std::filesystem::remove_all(folder.parent_path());
}

}  // namespace test_huggingface_model
