#pragma once
// What the scoreboard is made of: sections (runs, collectives, ...) of scores, each with the rows behind it.
#include <map>
#include <span>
#include <string>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "validation/tables/statistics.hpp"

namespace trainyard {

// One row that was predicted and measured. `score` names the score that it counts towards.
struct ScoredRow {
  std::string score;
  std::string table;  // file name without folder and ending
  std::string id;
  double measured = 0.0;
  double predicted = 0.0;
  std::string what;      // the configuration in words, for lists of rows
  bool assumed = false;  // something that matters is not stated, or of several readings the profile's was taken
  double error() const { return predicted / measured - 1.0; }
};

struct ScoreSection {
  std::string name;             // "runs", "gemm", ...
  std::string measure;          // what is compared, with its unit: "step time in seconds"
  Json scores = Json::array();  // {"name", "fit", figures}; figures that do not apply are absent
  std::vector<ScoredRow> rows;
};

// File name without folder and ending.
std::string table_name(const std::string& path);

// Figures as they are committed: to a millionth, so that the file reads well. Nothing becomes null.
Json rounded(std::optional<double> figure);

// The figure as it is; nothing becomes null.
Json number_or_null(std::optional<double> figure);
// A share as a percentage, "12.3 %"; "-" of null.
std::string percent_text(const Json& share);

// {"name", "fit", "rows", "simulated", median, mean, p90, bias, Spearman} of the rows. `all` counts those that could
// not be predicted too.
Json score_json(const std::string& name, const std::string& fit, std::size_t all,
                std::span<const ScoredRow* const> rows);

// The rows of a section by score, in the order of the scores' names.
std::vector<std::pair<std::string, std::vector<const ScoredRow*>>> rows_by_score(const std::vector<ScoredRow>& rows);

// [{"n", "reason"}]: why rows were skipped, and how many for each reason.
Json reasons_json(const std::map<std::string, std::size_t>& skipped);

}  // namespace trainyard
