#pragma once
// Accuracy of predicted collectives on published measurements.
#include <filesystem>
#include <string>
#include <vector>

#include "sim/base/json_reader.hpp"

namespace trainyard {

struct CollectiveValidation {
  std::string text;  // table for people
  Json json;         // {"rows": [...], "systems": [...], "files": [...]}
};

// Every row is predicted by curves fitted to the other four fifths of its system's rows, cut by configuration
// (operation, ranks, size), so that no row is predicted by a curve that has seen it. The cluster's shipped calibration
// is scored beside it.
CollectiveValidation validate_collectives(const std::vector<std::filesystem::path>& files);

}  // namespace trainyard
