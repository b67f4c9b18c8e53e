#pragma once
// The scoreboard as Markdown.
#include <filesystem>
#include <string>

#include "validation/score/scoreboard.hpp"

namespace trainyard {

std::string scoreboard_page(const Scoreboard& board);

// Writes the page and, in its folder, scores.json, accuracy.json, results/runs.csv and figures/*.svg.
void write_scoreboard(const Scoreboard& board, const std::filesystem::path& page);

}  // namespace trainyard
