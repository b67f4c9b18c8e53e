#include "models/model.hpp"

#include <fmt/format.h>

#include "models/model_reading.hpp"
#include "sim/base/files.hpp"

namespace trainyard {
namespace {

constexpr std::string_view kFolder = "models/catalogue";

bool is_path(std::string_view name) {
  return name.find('/') != std::string_view::npos || name.ends_with(".json");
}

// Hugging Face keeps config.json in a folder named after the model.
std::string name_of_file(const std::filesystem::path& path) {
  const auto absolute = std::filesystem::absolute(path);
  return absolute.filename() == "config.json" ? absolute.parent_path().filename().string() : absolute.stem().string();
}

ModelSpec read_model_file(const std::filesystem::path& path, const std::string& name) {
  const Json document = read_json_file(path);
  return read_model(JsonReader(document, path.string()), name);
}

}  // namespace

ModelSpec load_model(std::string_view name_or_path, std::string_view file, std::string_view pointer) {
  if (!is_path(name_or_path)) {
    return read_model_file(catalogue_path(kFolder, "model", name_or_path, file, pointer), std::string(name_or_path));
  }
  std::filesystem::path path(name_or_path);
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    path /= "config.json";
  }
  return read_model_file(path, name_of_file(path));
}

ModelSpec read_model(const JsonReader& json, std::string_view name) {
  return json.has("model_type") ? read_huggingface_model(json, name) : read_catalogue_model(json, name);
}

std::vector<std::string> model_names() {
  return catalogue_names(kFolder);
}

std::int64_t derived_head_dim(const JsonReader& json, const ModelKeys& keys, const ModelSpec& model) {
  if (model.hidden % model.heads != 0) {
    throw UserError({.file = json.file(),
                     .pointer = fmt::format("{}/{}", json.pointer(), keys.heads),
                     .found = fmt::format("{}", model.heads),
                     .allowed = fmt::format("a divisor of {} = {}", keys.hidden, model.hidden),
                     .problem = "the hidden size does not divide among the attention heads",
                     .remedy = keys.head_dim.empty()
                                   ? fmt::format("change {}", keys.heads)
                                   : fmt::format("change {}, or state {}", keys.heads, keys.head_dim)});
  }
  return model.hidden / model.heads;
}

void check_model(const JsonReader& json, const ModelKeys& keys, const ModelSpec& model) {
  if (model.heads % model.kv_heads != 0) {
    throw UserError({.file = json.file(),
                     .pointer = fmt::format("{}/{}", json.pointer(), keys.kv_heads),
                     .found = fmt::format("{}", model.kv_heads),
                     .allowed = fmt::format("a divisor of {} = {}", keys.heads, model.heads),
                     .problem = "query heads do not divide among the key and value heads",
                     .remedy = fmt::format("change {} or {}", keys.kv_heads, keys.heads)});
  }
  // Upper bound in floating point, so that the exact count cannot overflow.
  constexpr double kMostParameters = 1e17;
  const auto hidden = static_cast<double>(model.hidden);
  const double bound = static_cast<double>(model.layers) * hidden *
                           (4.0 * static_cast<double>(model.heads) * static_cast<double>(model.head_dim) +
                            3.0 * static_cast<double>(model.ffn)) +
                       hidden * (2.0 * static_cast<double>(model.vocab) + static_cast<double>(model.seq_len));
  if (bound > kMostParameters) {
    throw UserError({.file = json.file(),
                     .pointer = json.pointer().empty() ? "/" : json.pointer(),
                     .found = fmt::format("about {:.1e} parameters", bound),
                     .allowed = fmt::format("at most {:.0e}", kMostParameters),
                     .problem = "the model is too large to be meant",
                     .remedy = "check the sizes"});
  }
}

}  // namespace trainyard
