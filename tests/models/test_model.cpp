#include <doctest/doctest.h>

#include <string>

#include "models/load_model.hpp"
#include "models/model.hpp"
#include "sim/base/error.hpp"
#include "sim/base/files.hpp"

using namespace trainyard;

namespace test_model {

namespace {

// The fault that reading `text` as an inline model raises.
Fault fault_of(const std::string& text) {
  try {
    const Json document = parse_json(text, "model.json");
    read_model(JsonReader(document, "model.json", "/model"), "inline");
  } catch (const UserError& error) {
    CHECK(error.code() == ExitCode::kBadInput);
    return error.fault();
  }
  FAIL("no error was raised for " << text);
  return {};
}

ModelSpec inline_model(const std::string& text) {
  const Json document = parse_json(text, "model.json");
  return read_model(JsonReader(document, "model.json"), "inline");
}

constexpr const char* kSmall = R"({"family":"gpt","layers":2,"hidden":64,"heads":4,"vocab":1000,"seq_len":128)";

std::string small_with(const std::string& more) {
  return std::string(kSmall) + "," + more + "}";
}

}  // namespace

TEST_CASE("every catalogue model loads, has a source and splits its query heads evenly") {
  CHECK(model_names().size() >= 28);
  for (const std::string& name : model_names()) {
    CAPTURE(name);
    const ModelSpec model = load_model(name);
    CHECK(model.name == name);
    CHECK(model.heads % model.kv_heads == 0);
    CHECK(parameters(model) > 1'000'000);
    const Json document = read_json_file(home_folder() / "models/catalogue" / (name + ".json"));
    CHECK_FALSE(document.at("sources").at("default").get<std::string>().empty());
  }
}

TEST_CASE("an unknown model name suggests the nearest one") {
  try {
    load_model("llama-3-7b", "scenario.json", "/model");
    FAIL("no error was raised");
  } catch (const UserError& error) {
    CHECK(error.fault().file == "scenario.json");
    CHECK(error.fault().pointer == "/model");
    CHECK(error.fault().nearest.starts_with("llama-"));
  }
}

TEST_CASE("a path that is no file, or a folder without config.json, is the user's fault") {
  CHECK_THROWS_AS(load_model("no/such/config.json"), UserError);
  CHECK_THROWS_AS(load_model("./"), UserError);
}

TEST_CASE("an inline model needs its sizes and takes the family's defaults") {
  const ModelSpec model = inline_model(std::string(kSmall) + "}");
  CHECK(model.name == "inline");
  CHECK(model.ffn == 256);  // 4 x 64
  CHECK(model.head_dim == 16);
  CHECK(model.kv_heads == 4);
  CHECK(model.tied_embeddings == Presence::kPresent);
  const auto without = [](const char* key) {
    Json document = parse_json(std::string(kSmall) + "}", "model.json");
    document.erase(key);
    return fault_of(document.dump());
  };
  // A document without a family may be meant as Hugging Face's.
  CHECK(without("family").pointer == "/model");
  CHECK(without("family").problem.find("model_type") != std::string::npos);
  for (const char* key : {"layers", "hidden", "heads", "vocab", "seq_len"}) {
    CAPTURE(key);
    const Fault fault = without(key);
    CHECK(fault.pointer == std::string("/model/") + key);
    CHECK(fault.problem == "missing key");
  }
  CHECK(fault_of(R"({"family":"llama","layers":2,"hidden":64,"heads":4,"vocab":9,"seq_len":8})").pointer ==
        "/model/ffn");
}

TEST_CASE("an inline model may override every default of its family") {
  const ModelSpec model = inline_model(small_with(
      R"("name":"mine","kv_heads":2,"head_dim":32,"ffn":100,"normalization":"rmsnorm","activation":"swiglu",
         "positions":"none","mask":"full","linear_bias":false,"qkv_bias":false,"tied_embeddings":false,
         "dropout":false,"token_types":3,"pooler_and_mlm_head":true,"embedding_norm":true,"final_norm":false)"));
  CHECK(model.name == "mine");
  CHECK(model.gated());
  CHECK(model.output_bias() == Presence::kAbsent);
  // Per layer: attention 64 x 32 x (4 + 2) x 2 = 24576, SwiGLU 3 x 64 x 100 = 19200, two RMSNorms 128: 43904.
  CHECK(layer_parameters(model, {}) == 43904);
  // Tokens and segments (1000 + 3) x 64, embedding norm 64.
  CHECK(embedding_parameters(model) == 64256);
  // Output matrix 64000, pooler 64 x 65.
  CHECK(head_parameters(model) == 68160);
}

TEST_CASE("bad sizes are refused with their pointer, what was found and what is allowed") {
  for (const char* bad : {"-1", "0", "8.5", "1e30", "\"64\"", "true", "[64]", "99999999999999999999"}) {
    for (const char* key : {"layers", "hidden", "heads", "vocab", "seq_len", "ffn", "kv_heads", "head_dim"}) {
      CAPTURE(key);
      CAPTURE(bad);
      Json document = parse_json(std::string(kSmall) + "}", "model.json");
      document[key] = parse_json(bad, "value");
      const Fault fault = fault_of(document.dump());
      CHECK(fault.pointer == std::string("/model/") + key);
      CHECK(fault.allowed.starts_with("1 to "));
      CHECK_FALSE(fault.found.empty());
    }
  }
}

TEST_CASE("NaN, infinities and truncated text are no JSON") {
  CHECK(fault_of(small_with("\"ffn\":NaN")).problem == "not valid JSON");
  CHECK(fault_of(small_with("\"ffn\":Infinity")).problem == "not valid JSON");
  CHECK(fault_of(small_with("\"ffn\":1e999")).problem != "");
  CHECK(fault_of(kSmall).problem == "not valid JSON");
  CHECK(fault_of("[]").problem == "expected an object");
}

TEST_CASE("sizes that do not fit together are refused") {
  CHECK(fault_of(R"({"family":"gpt","layers":2,"hidden":65,"heads":4,"vocab":9,"seq_len":8})").pointer ==
        "/model/heads");
  CHECK(inline_model(R"({"family":"gpt","layers":2,"hidden":65,"heads":4,"head_dim":16,"vocab":9,"seq_len":8})")
            .head_dim == 16);
  const Fault fault = fault_of(small_with("\"kv_heads\":3"));
  CHECK(fault.pointer == "/model/kv_heads");
  CHECK(fault.found == "3");
  CHECK(fault_of(R"({"family":"gpt","layers":100000,"hidden":1048576,"heads":64,"vocab":9,"seq_len":8})")
            .problem.find("too large") != std::string::npos);
}

TEST_CASE("parts that a model cannot have are refused, and parts that its family needs are asked for") {
  constexpr const char* kT5 = R"({"family":"t5","layers":4,"hidden":64,"heads":4,"vocab":1000,"seq_len":128)";
  constexpr const char* kVit = R"({"family":"vit","layers":4,"hidden":64,"heads":4,"vocab":10,"seq_len":17)";
  const auto pointer = [](const char* base, const std::string& more) {
    return fault_of(base + (more.empty() ? "}" : "," + more + "}")).pointer;
  };
  CHECK(pointer(kSmall, R"("adapters":{"rank":8,"modules":[]})") == "/model/adapters/modules");
  CHECK(pointer(kSmall, R"("adapters":{"rank":8,"modules":["qkv","mlp_up","qkv"]})") == "/model/adapters/modules/2");
  // Of two layers none is the third, and two dense ones leave none.
  const std::string experts = R"("experts":{"count":8,"per_token":2,"ffn":64)";
  CHECK(pointer(kSmall, experts + R"(,"period":3})") == "/model/experts");
  CHECK(pointer(kSmall, experts + R"(,"first_dense":2})") == "/model/experts");
  CHECK(layer_kinds(inline_model(small_with(experts + R"(,"period":2})"))).size() == 2);
  CHECK(pointer(kT5, "") == "/model/encoder_layers");
  CHECK(pointer(kT5, R"("encoder_layers":0)") == "/model/encoder_layers");
  CHECK(pointer(kT5, R"("encoder_layers":4)") == "/model/encoder_layers");  // no decoder
  CHECK(pointer(kSmall, R"("encoder_layers":2)") == "/model/encoder_layers");
  CHECK(inline_model(std::string(kT5) + R"(,"encoder_layers":3})").encoder_layers == 3);
  CHECK(inline_model(small_with(R"("encoder_layers":0)")).encoder_layers == 0);
  CHECK(pointer(kVit, "") == "/model/vision");
  CHECK(inline_model(std::string(kVit) + R"(,"vision":{"patch_inputs":768}})").vision->patch_inputs == 768);
}

TEST_CASE("unknown keys and names are refused with the nearest one") {
  const Fault key = fault_of(small_with("\"head\":4"));
  CHECK(key.pointer == "/model/head");
  CHECK(key.nearest == "heads");
  const Fault name = fault_of(small_with("\"activation\":\"swiglo\""));
  CHECK(name.pointer == "/model/activation");
  CHECK(name.nearest == "swiglu");
  CHECK(fault_of(R"({"family":"gtp","layers":2})").nearest == "gpt");
}

}  // namespace test_model
