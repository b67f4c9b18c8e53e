#include "validation/tables/run_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <span>

#include "models/load_model.hpp"
#include "models/model.hpp"
#include "sim/base/files.hpp"
#include "validation/tables/run_network.hpp"

namespace trainyard {
namespace {

// What a table calls an architecture, and the family whose defaults it has. Experts take the place of Llama's MLP.
enum class WithExperts { kNever, kMaybe, kAlways };
enum class Keys { kPerHead, kLatent };
struct Architecture {
  std::string_view name;
  std::string_view family;
  WithExperts experts;
  Keys keys;
};
constexpr std::array<Architecture, 10> kArchitectures = {{{"gpt", "gpt", WithExperts::kNever, Keys::kPerHead},
                                                          {"llama", "llama", WithExperts::kNever, Keys::kPerHead},
                                                          {"mixtral", "llama", WithExperts::kAlways, Keys::kPerHead},
                                                          {"moe", "llama", WithExperts::kAlways, Keys::kPerHead},
                                                          {"deepseek", "llama", WithExperts::kAlways, Keys::kLatent},
                                                          {"qwen3", "qwen3", WithExperts::kMaybe, Keys::kPerHead},
                                                          {"gemma", "gemma", WithExperts::kNever, Keys::kPerHead},
                                                          {"bert", "bert", WithExperts::kNever, Keys::kPerHead},
                                                          {"bloom", "bloom", WithExperts::kNever, Keys::kPerHead},
                                                          {"mpt", "mpt", WithExperts::kNever, Keys::kPerHead}}};

struct Column {
  std::string_view name;
  std::string_view key;
};
constexpr std::array<Column, 8> kSizes = {{{"layers", "layers"},
                                           {"hidden", "hidden"},
                                           {"heads", "heads"},
                                           {"kv_heads", "kv_heads"},
                                           {"head_dim", "head_dim"},
                                           {"ffn", "ffn"},
                                           {"vocab", "vocab"},
                                           {"predicted_tokens", "predicted_tokens"}}};
constexpr std::array<Column, 5> kLatent = {{{"q_lora_rank", "query_rank"},
                                            {"kv_lora_rank", "key_value_rank"},
                                            {"qk_nope_head_dim", "plain_dim"},
                                            {"qk_rope_head_dim", "rotary_dim"},
                                            {"v_head_dim", "value_dim"}}};
constexpr std::array<Column, 4> kExperts = {
    {{"topk", "per_token"}, {"shared_ffn", "shared_ffn"}, {"first_dense", "first_dense"}, {"moe_period", "period"}}};
constexpr std::array<Column, 2> kExpertSizes = {{{"experts", "count"}, {"moe_ffn", "ffn"}}};
constexpr std::array<Column, 3> kFlags = {
    {{"gated_mlp", "activation"}, {"tied_embeddings", "tied_embeddings"}, {"qk_norm", "query_key_norm"}}};
constexpr std::array<std::string_view, 4> kNeeded = {"layers", "hidden", "heads", "vocab"};

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

class ModelReader {
 public:
  ModelReader(const CsvTable& table, std::size_t row) : table_(table), row_(row) {}

  RunModel read() {
    const std::string& arch = text("arch");
    if (arch.empty()) {
      return named();
    }
    const auto* found = std::find_if(kArchitectures.begin(), kArchitectures.end(),
                                     [&](const Architecture& one) { return one.name == arch; });
    if (found == kArchitectures.end()) {
      if (const auto network = network_named(text("model"))) {
        return {.model = *network, .skipped = {}, .assumed = {}, .has_sequences = false};
      }
      return skip(fmt::format("architecture {} is not simulated", arch));
    }
    return described(*found);
  }

 private:
  const std::string& text(std::string_view column) const { return table_.text(row_, column); }
  std::optional<std::int64_t> integer(std::string_view column) const { return table_.integer(row_, column); }
  static RunModel skip(std::string reason) {
    return {.model = nullptr, .skipped = std::move(reason), .assumed = {}, .has_sequences = true};
  }

  template <std::size_t N>
  void put(const std::array<Column, N>& columns, Json& target) const {
    for (const Column& column : columns) {
      if (const auto value = integer(column.name)) {
        target[std::string(column.key)] = *value;
      }
    }
  }

  void put_parts(Json& model) const {
    put(kSizes, model);
    if (const auto tied = table_.flag(row_, "tied_embeddings")) {
      model["tied_embeddings"] = *tied;
    }
    if (const auto norm = table_.flag(row_, "qk_norm")) {
      model["query_key_norm"] = *norm;
    }
  }

  // `gates`: whether the model's MLP has a gate unless the row says otherwise.
  void put_gate(Json& model, bool gates) const {
    if (const auto gated = table_.flag(row_, "gated_mlp"); gated && *gated != gates) {
      model["activation"] = *gated ? "swiglu" : "gelu";
    }
  }

  // Into a model of the catalogue. A stated single expert is a dense MLP.
  void put_latent_and_experts(Json& model) const {
    const auto experts = integer("experts");
    if (experts && *experts <= 1) {
      model.erase("experts");
    }
    const auto add = [&](const char* key, const auto& columns) {
      Json group = model.value(key, Json::object());
      put(columns, group);
      if (!group.empty()) {
        model[key] = std::move(group);
      }
    };
    add("latent", kLatent);
    if (!experts || *experts > 1) {
      add("experts", kExpertSizes);
      add("experts", kExperts);
    }
  }

  RunModel described(const Architecture& architecture) {
    for (const std::string_view column : kNeeded) {
      if (!integer(column)) {
        return skip(fmt::format("{} is not stated", column));
      }
    }
    const std::int64_t experts = integer("experts").value_or(0);
    if (experts > 1 && architecture.experts == WithExperts::kNever) {
      return skip(fmt::format("what the {} architecture has beside its experts is not stated", architecture.name));
    }
    if (experts < 1 && architecture.experts == WithExperts::kAlways) {
      return skip("experts is not stated");
    }
    const std::string family(architecture.family);
    Json model = {{"name", text("model")}, {"family", family}};
    put_parts(model);
    model["seq_len"] = integer("seq_len").value_or(0);
    put_gate(model, family == "llama" || family == "qwen3" || family == "gemma");
    if (family == "bert" && lower_case(text("model")).find("squad") != std::string::npos) {
      model["token_classes"] = 2;  // where the answer starts and where it ends
    }
    if (experts > 1) {
      // Where the width of an expert is not stated the MLP's is meant (Mixtral's config.json has one width).
      model["experts"] = {{"count", experts}, {"ffn", integer("moe_ffn").value_or(integer("ffn").value_or(0))}};
      put(kExperts, model["experts"]);
    }
    if (architecture.keys == Keys::kLatent) {
      for (const Column& column : kLatent) {
        if (!integer(column.name) && column.key != "query_rank") {
          return skip(fmt::format("{} is not stated, which latent attention needs", column.name));
        }
      }
      model["latent"] = Json::object();
      put(kLatent, model["latent"]);
      model.erase("head_dim");  // of latent attention it follows from the parts
    }
    RunModel out{.model = std::move(model), .skipped = {}, .assumed = {}};
    for (const Column& column : kLatent) {
      if (architecture.keys != Keys::kLatent && integer(column.name).value_or(0) > 0) {
        out.assumed.push_back(
            fmt::format("{} is not read: arch {} has no latent attention", column.name, architecture.name));
      }
    }
    return out;
  }

  // A model of the catalogue, its stated parts in place of its own, or a config file.
  RunModel named() {
    const std::string& name = text("model");
    const std::vector<std::string> names = model_names();
    if (std::find(names.begin(), names.end(), lower_case(name)) != names.end()) {
      Json model = read_json_file(catalogue_path("models/catalogue", "model", lower_case(name), table_.file(), ""));
      model["name"] = name;
      put_parts(model);
      put_gate(model, load_model(lower_case(name)).gated());
      put_latent_and_experts(model);
      return {.model = std::move(model), .skipped = {}, .assumed = {}};
    }
    const std::filesystem::path beside = std::filesystem::path(table_.file()).parent_path() / name;
    for (const std::filesystem::path& path : {beside, std::filesystem::path(name)}) {
      if (name.ends_with(".json") && std::filesystem::is_regular_file(path)) {
        RunModel out{.model = path.string(), .skipped = {}, .assumed = {}};
        for (const RunSetting& size : stated_sizes(table_, row_)) {
          out.assumed.push_back(fmt::format("{} is not read beside a model's file", size.column));
        }
        return out;
      }
    }
    if (name.empty()) {
      return skip("neither model nor arch is stated");
    }
    if (name.ends_with(".json")) {
      return skip(fmt::format("no model file {}", name));
    }
    const auto nearest = nearest_name(lower_case(name), names);
    return skip(fmt::format("no model {}{}, and the architecture is not stated", name,
                            nearest ? fmt::format(" (did you mean {})", *nearest) : ""));
  }

  const CsvTable& table_;
  std::size_t row_;
};

}  // namespace

RunModel read_run_model(const CsvTable& table, std::size_t row) {
  return ModelReader(table, row).read();
}

std::vector<RunSetting> stated_sizes(const CsvTable& table, std::size_t row) {
  std::vector<RunSetting> out;
  const auto add = [&](std::span<const Column> columns, std::string_view group) {
    for (const Column& column : columns) {
      if (const auto value = table.integer(row, column.name)) {
        out.push_back({std::string(column.name), fmt::format("model.{}{}", group, column.key), {*value}});
      }
    }
  };
  add(kSizes, "");
  add(kLatent, "latent.");
  add(kExpertSizes, "experts.");
  add(kExperts, "experts.");
  for (const Column& column : kFlags) {
    if (const auto value = table.flag(row, column.name)) {
      out.push_back({std::string(column.name), fmt::format("model.{}", column.key), {*value}});
    }
  }
  return out;
}

}  // namespace trainyard
