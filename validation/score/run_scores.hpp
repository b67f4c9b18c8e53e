#pragma once
// The scoreboard's section on training runs, and every scored run as a line of a table.
#include <filesystem>
#include <span>

#include "sim/scenario/scenario.hpp"
#include "validation/score/score_section.hpp"

namespace trainyard {

struct RunSection {
  ScoreSection section;
  Json by_mechanism;  // errors by tp, pp, micro-batch and nodes: [{"mechanism", "value", figures}]
  Json subsets;       // rows of a table by what they state: [{"table", "name", figures}]
  Json skipped;       // {"table", "reason", "rows"}
  Json accuracy;      // validation/accuracy.json
  std::string csv;    // validation/results/runs.csv
};

// Simulates every run of the tables that states enough.
RunSection score_run_tables(std::span<const std::filesystem::path> files, Network network);

}  // namespace trainyard
