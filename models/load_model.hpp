#pragma once
// Models of the catalogue (models/catalogue, one JSON file each) and of the user's own files.
#include <string>
#include <string_view>
#include <vector>

#include "models/model.hpp"

namespace trainyard {

// A catalogue name, the path of a catalogue-style or Hugging Face JSON file, or an inline object. Throws UserError.
ModelSpec load_model(std::string_view name_or_path, std::string_view file = "--model", std::string_view pointer = "");
ModelSpec read_model(const JsonReader& json,
                     std::string_view name);  // catalogue or Hugging Face keys, told apart by "model_type"
std::vector<std::string> model_names();

}  // namespace trainyard
