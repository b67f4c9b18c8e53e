#include "validation/accuracy.hpp"

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "validation/statistics.hpp"

namespace trainyard {
namespace {

struct FamilyRows {
  std::set<std::string> tables;
  std::vector<double> measured;
  std::vector<double> predicted;
};

}  // namespace

Json accuracy_by_framework(const Json& scores, Network network) {
  std::map<std::string, FamilyRows> families;
  for (const Json& row : scores.at("rows")) {
    if (row.at("status") != "simulated" || row.at("error").is_null()) {
      continue;
    }
    FamilyRows& family = families[row.at("framework").get<std::string>()];
    family.tables.insert(std::filesystem::path(row.at("file").get<std::string>()).filename().string());
    family.measured.push_back(row.at("measured").get<double>());
    family.predicted.push_back(row.at("predicted").get<double>());
  }
  Json out = {{"network", kNetworkNames.name_of(network)}, {"families", Json::array()}};
  for (const auto& [framework, rows] : families) {
    const ErrorSummary summary = summarize_errors(rows.measured, rows.predicted);
    out["families"].push_back({{"framework", framework},
                               {"tables", rows.tables},
                               {"rows", summary.count},
                               {"median_abs_error", *summary.median_abs_error},
                               {"p90_abs_error", *summary.p90_abs_error},
                               {"bias", *summary.bias}});
  }
  return out;
}

}  // namespace trainyard
