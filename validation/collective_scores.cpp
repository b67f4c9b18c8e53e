#include "validation/collective_scores.hpp"

#include <fmt/format.h>

#include <map>

#include "sim/base/quantity_text.hpp"

namespace trainyard {
namespace {

constexpr double kLarge = 1048576.0;  // bytes, as validate_collectives cuts

std::string what_of(const Json& row) {
  return fmt::format("{} of {} on {} ranks, {} {}", row.at("op").get<std::string>(),
                     to_text(Bytes{row.at("size_bytes").get<double>()}), row.at("ranks").get<int>(),
                     row.at("algorithm").get<std::string>(), row.at("protocol").get<std::string>());
}

}  // namespace

ScoreSection score_collective_tables(const CollectiveValidation& validation) {
  ScoreSection out{.name = "collectives", .measure = "time of one call in seconds"};
  std::map<std::string, std::size_t> skipped;
  for (const Json& row : validation.json.at("rows")) {
    const std::string system = row.at("system").get<std::string>();
    if (row.contains("why_skipped")) {
      ++skipped[system];
      continue;
    }
    const bool large = row.at("size_bytes").get<double>() >= kLarge;
    out.rows.push_back({.score = fmt::format("{}, {}", system, large ? "from 1 MiB" : "below 1 MiB"),
                        .table = system,
                        .id = row.at("id").get<std::string>(),
                        .measured = row.at("measured_s").get<double>(),
                        .predicted = row.at("predicted_s").get<double>(),
                        .what = what_of(row)});
  }
  const auto by_score = rows_by_score(out.rows);
  for (const auto& [score, rows] : by_score) {
    out.scores.push_back(score_json(score, "5 folds by configuration, within the system", rows.size(), rows));
  }
  for (const auto& [system, count] : skipped) {
    out.scores.push_back(score_json(system + ", not predicted", "none", count, {}));
  }
  return out;
}

}  // namespace trainyard
