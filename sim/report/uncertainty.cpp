#include "sim/report/uncertainty.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "sim/base/files.hpp"

namespace trainyard {

std::vector<ValidatedFamily> read_accuracy(const JsonReader& json) {
  json.expect_keys({"network", "families"});
  std::vector<ValidatedFamily> families;
  for (const JsonReader& element : json.at("families").elements()) {
    element.expect_keys({"framework", "tables", "rows", "median_abs_error", "p90_abs_error", "bias"});
    ValidatedFamily& family = families.emplace_back();
    family.framework = element.at("framework").text();
    for (const JsonReader& table : element.at("tables").elements()) {
      family.tables.push_back(table.text());
    }
    family.rows = element.at("rows").integer(1, std::int64_t{1} << 40);
    family.p90_abs_error = element.at("p90_abs_error").number(0.0, 1e6);
  }
  return families;
}

std::vector<ValidatedFamily> load_accuracy() {
  const auto path = home_folder() / "validation/accuracy.json";
  if (!std::filesystem::exists(path)) {
    return {};
  }
  const Json document = read_json_file(path);
  return read_accuracy(JsonReader(document, path.string()));
}

Uncertainty uncertainty_of(Seconds step, std::string_view framework, std::span<const ValidatedFamily> families) {
  if (families.empty()) {
    return {.basis = "no measured runs to judge by"};
  }
  auto family = std::find_if(families.begin(), families.end(),
                             [&](const ValidatedFamily& one) { return one.framework == framework; });
  const bool is_own = family != families.end();
  if (!is_own) {
    family = std::max_element(families.begin(), families.end(), [](const ValidatedFamily& a, const ValidatedFamily& b) {
      return a.p90_abs_error < b.p90_abs_error;
    });
  }
  Uncertainty uncertainty;
  uncertainty.low = step / (1.0 + family->p90_abs_error);
  if (family->p90_abs_error < 1.0) {
    uncertainty.high = step / (1.0 - family->p90_abs_error);
  }
  const std::string evidence =
      fmt::format("nine of ten of {} measured runs of {} were within {:.1f} % ({})", family->rows, family->framework,
                  family->p90_abs_error * 100.0, join_names(family->tables));
  uncertainty.basis =
      is_own ? evidence : fmt::format("no measured runs of {}; the widest band known: {}", framework, evidence);
  return uncertainty;
}

}  // namespace trainyard
