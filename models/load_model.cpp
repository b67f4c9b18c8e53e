#include "models/load_model.hpp"

#include <fmt/format.h>

#include "models/model_reading.hpp"
#include "sim/base/files.hpp"

namespace trainyard {
namespace {

constexpr std::string_view kFolder = "models/catalogue";

// Hugging Face keeps config.json in a folder named after the model.
std::string name_of_file(const std::filesystem::path& path) {
  const auto absolute = std::filesystem::absolute(path);
  return absolute.filename() == "config.json" ? absolute.parent_path().filename().string() : absolute.stem().string();
}

// Python's json writes Infinity, -Infinity and NaN, which no JSON has: as text they can be read, and are refused where
// a size is wanted.
std::string with_numbers_of_python(const std::string& text) {
  std::string out;
  bool in_text = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (in_text && text[i] == '\\' && i + 1 < text.size()) {
      out += text[i++];
    } else if (text[i] == '"') {
      in_text = !in_text;
    } else if (!in_text) {
      const std::string_view rest = std::string_view(text).substr(i);
      const auto is_next = [rest](std::string_view word) { return rest.starts_with(word); };
      const std::string_view word = is_next("-Infinity")  ? rest.substr(0, 9)
                                    : is_next("Infinity") ? rest.substr(0, 8)
                                    : is_next("NaN")      ? rest.substr(0, 3)
                                                          : "";
      if (!word.empty()) {
        out += fmt::format("\"{}\"", word);
        i += word.size() - 1;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

ModelSpec read_model_file(const std::filesystem::path& path, const std::string& name) {
  const Json document = parse_json(with_numbers_of_python(read_file(path)), path.string());
  return read_model(JsonReader(document, path.string()), name);
}

}  // namespace

ModelSpec load_model(std::string_view name_or_path, std::string_view file, std::string_view pointer) {
  if (!names_file(name_or_path)) {
    const auto entry = catalogue_path(kFolder, "model", name_or_path, file, pointer);
    return read_model_file(entry, entry.stem().string());
  }
  std::filesystem::path path(name_or_path);
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    path /= "config.json";
  }
  if (!std::filesystem::exists(path, ignored)) {
    throw UserError({.file = std::string(file),
                     .pointer = std::string(pointer),
                     .found = fmt::format("\"{}\"", name_or_path),
                     .allowed = "a name of `trainyard list models`, a model file, or a Hugging Face config.json",
                     .nearest = nearest_name(name_of_file(path), model_names()).value_or(""),
                     .problem = "there is no such model file",
                     .remedy = "models of a hub are read from their config.json, downloaded"});
  }
  return read_model_file(path, name_of_file(path));
}

ModelSpec read_model(const JsonReader& json, std::string_view name) {
  if (json.has("model_type")) {
    return read_huggingface_model(json, name);
  }
  if (json.has("units")) {
    return read_network_model(json, name);
  }
  if (!json.has("family")) {
    throw UserError(
        {.file = json.file(),
         .pointer = json.pointer().empty() ? "/" : json.pointer(),
         .allowed = fmt::format("family: {}; units (a list of layers); or model_type: {}", join_names(model_families()),
                                join_names(huggingface_model_types())),
         .problem = "neither a family (the catalogue's keys) nor units (a network) nor a model_type (Hugging Face)",
         .remedy = "see trainyard list families and models/README.md"});
  }
  return read_catalogue_model(json, name);
}

std::vector<std::string> model_names() {
  return catalogue_names(kFolder);
}

}  // namespace trainyard
