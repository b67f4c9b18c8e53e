#include "validation/score/collective_scores.hpp"

#include <fmt/format.h>

#include <map>

#include "sim/base/quantity_text.hpp"

namespace trainyard {
namespace {

std::string what_of(const Json& row) {
  return fmt::format("{} of {} on {} ranks, {} {}", row.at("op").get<std::string>(),
                     to_text(Bytes{row.at("size_bytes").get<double>()}), row.at("ranks").get<int>(),
                     row.at("algorithm").get<std::string>(), row.at("protocol").get<std::string>());
}

}  // namespace

ScoreSection score_collective_tables(const CollectiveValidation& validation) {
  constexpr const char* kFoldsNote = "5 folds by configuration, within the system";
  ScoreSection out{.name = "collectives", .measure = "time of one call in seconds"};
  std::vector<ScoredRow> shipped;
  std::map<std::string, std::size_t> skipped;
  for (const Json& row : validation.json.at("rows")) {
    const std::string system = row.at("system").get<std::string>();
    if (row.at("predicted").is_null()) {
      ++skipped[system];
      continue;
    }
    const bool large = row.at("size_bytes").get<double>() >= kLargeMessage;
    ScoredRow one{.score = fmt::format("{}, {}", system, large ? "from 1 MiB" : "below 1 MiB"),
                  .table = system,
                  .id = row.at("id").get<std::string>(),
                  .measured = row.at("measured").get<double>(),
                  .predicted = row.at("held_out").get<double>(),
                  .what = what_of(row)};
    out.rows.push_back(one);
    one.predicted = row.at("predicted").get<double>();
    one.score = row.at("calibration_saw_system").get<bool>() ? "seen" : "unseen";
    shipped.push_back(std::move(one));
  }
  // All rows first, as users get them and held out; then subsets.
  const auto pointers = [](const std::vector<ScoredRow>& rows, const char* score) {
    std::vector<const ScoredRow*> kept;
    for (const ScoredRow& row : rows) {
      if (score == nullptr || row.score == score) {
        kept.push_back(&row);
      }
    }
    return kept;
  };
  const auto add = [&](const char* name, const char* fit, const std::vector<const ScoredRow*>& rows) {
    out.scores.push_back(score_json(name, fit, rows.size(), rows));
  };
  add("all rows, as users get them", "shipped calibrations, fitted to many of the rows", pointers(shipped, nullptr));
  add("all rows, held out", kFoldsNote, pointers(out.rows, nullptr));
  add("systems that no shipped calibration saw, as users get them", "none", pointers(shipped, "unseen"));
  const auto by_score = rows_by_score(out.rows);
  for (const auto& [score, rows] : by_score) {
    out.scores.push_back(score_json(score, kFoldsNote, rows.size(), rows));
  }
  for (const auto& [system, count] : skipped) {
    out.scores.push_back(score_json(system + ", not predicted", "none", count, {}));
  }
  return out;
}

}  // namespace trainyard
