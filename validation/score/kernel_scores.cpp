#include "validation/score/kernel_scores.hpp"

#include <fmt/format.h>

#include <map>

namespace trainyard {
namespace {

struct Group {
  std::size_t rows = 0;
  std::string fit;
};

}  // namespace

ScoreSection score_kernel_tables(const std::string& name, const Json& validation) {
  ScoreSection out{.name = name, .measure = "time of one call in seconds"};
  std::map<std::string, Group> groups;
  for (const Json& row : validation.at("rows")) {
    const std::string table = table_name(row.at("file").get<std::string>());
    const std::string score = fmt::format("{}: {}", table, row.at("group").get<std::string>());
    Group& group = groups[score];
    ++group.rows;
    if (row.at("error").is_null()) {
      continue;
    }
    group.fit = row.at("fit").get<std::string>();
    out.rows.push_back({.score = score,
                        .table = table,
                        .id = row.at("id").get<std::string>(),
                        .measured = row.at("measured").get<double>(),
                        .predicted = row.at("predicted").get<double>(),
                        .what = row.at("configuration").get<std::string>()});
  }
  const auto by_score = rows_by_score(out.rows);
  for (const auto& [score, rows] : by_score) {
    out.scores.push_back(score_json(score, groups.at(score).fit, groups.at(score).rows, rows));
    groups.erase(score);
  }
  // Groups of which no row could be predicted stay visible.
  for (const auto& [score, group] : groups) {
    out.scores.push_back(score_json(score, "none", group.rows, {}));
  }
  return out;
}

}  // namespace trainyard
