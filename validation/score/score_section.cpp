#include "validation/score/score_section.hpp"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <map>

namespace trainyard {

std::string table_name(const std::string& path) {
  return std::filesystem::path(path).stem().string();
}

Json rounded(std::optional<double> figure) {
  return figure ? Json(std::round(*figure * 1e6) / 1e6) : Json(nullptr);
}

Json number_or_null(std::optional<double> figure) {
  return figure ? Json(*figure) : Json(nullptr);
}

std::string percent_text(const Json& share) {
  return share.is_null() ? "-" : fmt::format("{:.1f} %", 100.0 * share.get<double>());
}

Json score_json(const std::string& name, const std::string& fit, std::size_t all,
                std::span<const ScoredRow* const> rows) {
  std::vector<double> measured;
  std::vector<double> predicted;
  for (const ScoredRow* row : rows) {
    measured.push_back(row->measured);
    predicted.push_back(row->predicted);
  }
  const ErrorSummary summary = summarize_errors(measured, predicted);
  return {{"name", name},
          {"fit", fit},
          {"rows", all},
          {"simulated", summary.count},
          {"median_abs_error", rounded(summary.median_abs_error)},
          {"mean_abs_error", rounded(summary.mean_abs_error)},
          {"p90_abs_error", rounded(summary.p90_abs_error)},
          {"bias", rounded(summary.bias)},
          {"spearman", rounded(summary.spearman)}};
}

std::vector<std::pair<std::string, std::vector<const ScoredRow*>>> rows_by_score(const std::vector<ScoredRow>& rows) {
  std::map<std::string, std::vector<const ScoredRow*>> groups;
  for (const ScoredRow& row : rows) {
    groups[row.score].push_back(&row);
  }
  return {groups.begin(), groups.end()};
}

Json reasons_json(const std::map<std::string, std::size_t>& skipped) {
  Json out = Json::array();
  for (const auto& [reason, count] : skipped) {
    out.push_back({{"n", count}, {"reason", reason}});
  }
  return out;
}

}  // namespace trainyard
