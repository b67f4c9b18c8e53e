#include "validation/score/accuracy.hpp"

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/report/uncertainty.hpp"
#include "validation/tables/statistics.hpp"

namespace trainyard {
namespace {

struct FamilyRows {
  std::size_t assumed = 0;  // of them, those that leave open what the profile's default stands for
  std::set<std::string> tables;
  std::vector<double> measured;
  std::vector<double> predicted;
  std::vector<double> measured_memory;
  std::vector<double> predicted_memory;
};

Json errors_json(const std::vector<double>& measured, const std::vector<double>& predicted) {
  const ErrorSummary summary = summarize_errors(measured, predicted);
  return {{"rows", summary.count},
          {"median_abs_error", *summary.median_abs_error},
          {"p90_abs_error", *summary.p90_abs_error},
          {"bias", *summary.bias}};
}

bool is_positive(const Json& value) {
  return !value.is_null() && value.get<double>() > 0.0;
}

// By framework, of rows whose status is among these.
std::map<std::string, FamilyRows> families_of(const Json& scores, const std::set<std::string>& statuses) {
  std::map<std::string, FamilyRows> families;
  for (const Json& row : scores.at("rows")) {
    const std::string status = row.at("status").get<std::string>();
    if (!statuses.contains(status)) {
      continue;
    }
    FamilyRows& family = families[row.at("framework").get<std::string>()];
    if (is_positive(row.at("measured_memory_gb")) && is_positive(row.at("predicted_memory_gb"))) {
      family.measured_memory.push_back(row.at("measured_memory_gb").get<double>());
      family.predicted_memory.push_back(row.at("predicted_memory_gb").get<double>());
    }
    if (row.at("error").is_null()) {
      continue;
    }
    family.assumed += status == "assumed" ? 1 : 0;
    family.tables.insert(std::filesystem::path(row.at("file").get<std::string>()).filename().string());
    family.measured.push_back(row.at("measured").get<double>());
    family.predicted.push_back(row.at("predicted").get<double>());
  }
  return families;
}

}  // namespace

Json accuracy_by_framework(const Json& scores, Network network) {
  std::map<std::string, FamilyRows> families = families_of(scores, {"simulated", "open"});
  for (auto& [framework, rows] : families_of(scores, {"simulated", "open", "assumed"})) {
    FamilyRows& stated = families[framework];
    if (stated.measured.size() < kFewestBandRows) {
      stated = std::move(rows);
    }
  }
  Json out = {{"network", kNetworkNames.name_of(network)}, {"families", Json::array()}};
  for (const auto& [framework, rows] : families) {
    if (rows.measured.empty()) {
      continue;
    }
    Json family = {{"framework", framework}, {"tables", rows.tables}, {"assumed", rows.assumed}};
    family.update(errors_json(rows.measured, rows.predicted));
    if (!rows.measured_memory.empty()) {
      family["memory"] = errors_json(rows.measured_memory, rows.predicted_memory);
    }
    out["families"].push_back(std::move(family));
  }
  return out;
}

}  // namespace trainyard
