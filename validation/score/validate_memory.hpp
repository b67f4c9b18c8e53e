#pragma once
// Accuracy of predicted memory on published figures of activations and model states.
#include <filesystem>
#include <span>
#include <string>

#include "validation/score/score_section.hpp"

namespace trainyard {

struct MemoryValidation {
  Json json;         // "files" and "rows", with the keys of the other kinds
  std::string text;  // for people
  ScoreSection section;
};

// Every figure of the tables (columns: validation/published/memory/README.md) against the first pipeline stage of the
// job that jobs.json beside them names. Nothing is fitted. Throws UserError for tables that are of another kind.
MemoryValidation validate_memory(std::span<const std::filesystem::path> files);

}  // namespace trainyard
