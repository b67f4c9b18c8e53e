#pragma once
// Models of the catalogue that have a transformer's layers, which most layouts cut.
#include <string>
#include <vector>

#include "models/load_model.hpp"

namespace trainyard::checks {

inline std::vector<std::string> transformer_names() {
  std::vector<std::string> out;
  for (const std::string& name : model_names()) {
    if (!load_model(name).network) {
      out.push_back(name);
    }
  }
  return out;
}

}  // namespace trainyard::checks
