#pragma once
// The scoreboard: every committed table of measurements against the simulator, as a page, as pictures and as figures
// that a test can compare.
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "sim/scenario/scenario.hpp"
#include "validation/score/score_section.hpp"

namespace trainyard {

struct Scoreboard {
  Json scores;                                 // scores.json
  Json accuracy;                               // accuracy.json, which reports read; null without tables of runs
  std::string runs_csv;                        // results/runs.csv
  std::map<std::string, std::string> figures;  // figures/<name>.svg
  std::vector<ScoreSection> sections;
};

// All tables of validation/published, sorted by path.
std::vector<std::filesystem::path> published_tables();

// Scores the tables, each kind known by the beginning of its name (runs_, memory_, nccl_, gemm_, grouped_gemm_,
// attention_, conv_, membound_). Throws UserError for other names. The same tables give the same bits.
Scoreboard make_scoreboard(std::span<const std::filesystem::path> tables, Network network);

}  // namespace trainyard
