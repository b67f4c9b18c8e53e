#pragma once
// Accuracy on measured training runs.
#include <filesystem>
#include <span>
#include <string>

#include "sim/base/json_reader.hpp"
#include "sim/scenario/scenario.hpp"

namespace trainyard {

struct RunScores {
  Json json;         // the contract's "files" and "rows"
  std::string text;  // the same for people
};

// Simulates every row of every table that can be simulated, each in a process of its own.
RunScores validate_runs(std::span<const std::filesystem::path> files, Network network);

}  // namespace trainyard
