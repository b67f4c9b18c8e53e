#include "sim/report/uncertainty.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "sim/base/files.hpp"

namespace trainyard {
namespace {

ErrorBand read_band(const JsonReader& json) {
  return {.rows = json.at("rows").integer(1, std::int64_t{1} << 40),
          .p90_abs_error = json.at("p90_abs_error").number(0.0, 1e6)};
}

const ErrorBand* band_of(const ValidatedFamily& family, Seconds /*predicted*/) {
  return &family.step;
}

const ErrorBand* band_of(const ValidatedFamily& family, Bytes /*predicted*/) {
  return family.memory ? &*family.memory : nullptr;
}

// An error of the whole says nothing about what a measurement would give.
bool bounds_anything(const ErrorBand& band) {
  return band.rows >= static_cast<std::int64_t>(kFewestBandRows) && band.p90_abs_error < 1.0;
}

// The framework's own family where it has rows of this kind that bound anything, else the one with the widest band of
// those that do.
template <class Quantity>
Interval<Quantity> interval_of(Quantity predicted, std::string_view framework,
                               std::span<const ValidatedFamily> families, std::string_view rows_are) {
  const ValidatedFamily* nearest = nullptr;
  for (const ValidatedFamily& family : families) {
    const ErrorBand* band = band_of(family, predicted);
    if (band == nullptr || !bounds_anything(*band)) {
      continue;
    }
    const bool is_own = family.framework == framework;
    if (nearest == nullptr || is_own ||
        (nearest->framework != framework && band->p90_abs_error > band_of(*nearest, predicted)->p90_abs_error)) {
      nearest = &family;
    }
  }
  if (nearest == nullptr) {
    return {.basis = fmt::format("no band: there are too few {}, or predictions were too far from them", rows_are)};
  }
  const ErrorBand& band = *band_of(*nearest, predicted);
  Interval<Quantity> interval{.low = predicted / (1.0 + band.p90_abs_error),
                              .high = predicted / (1.0 - band.p90_abs_error)};
  const std::string evidence =
      fmt::format("nine of ten of {} {} of {}{} were within {:.1f} % ({})", band.rows, rows_are, nearest->framework,
                  band.assumed > 0 ? fmt::format(", {} of which do not state everything,", band.assumed) : "",
                  band.p90_abs_error * 100.0, join_names(nearest->tables));
  interval.basis = nearest->framework == framework ? evidence
                                                   : fmt::format("no {} of {} that bound it; the widest band known: {}",
                                                                 rows_are, framework, evidence);
  return interval;
}

}  // namespace

std::vector<ValidatedFamily> read_accuracy(const JsonReader& json) {
  json.expect_keys({"network", "families"});
  std::vector<ValidatedFamily> families;
  for (const JsonReader& element : json.at("families").elements()) {
    element.expect_keys(
        {"framework", "tables", "assumed", "rows", "median_abs_error", "p90_abs_error", "bias", "memory"});
    ValidatedFamily& family = families.emplace_back();
    family.framework = element.at("framework").text();
    for (const JsonReader& table : element.at("tables").elements()) {
      family.tables.push_back(table.text());
    }
    family.step = read_band(element);
    if (const auto assumed = element.find("assumed")) {
      family.step.assumed = assumed->integer(0, family.step.rows);
    }
    if (const auto memory = element.find("memory")) {
      memory->expect_keys({"rows", "median_abs_error", "p90_abs_error", "bias"});
      family.memory = read_band(*memory);
    }
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
  return interval_of(step, framework, families, "measured runs");
}

MemoryUncertainty uncertainty_of(Bytes memory, std::string_view framework, std::span<const ValidatedFamily> families) {
  return interval_of(memory, framework, families, "measured peaks of memory");
}

Json to_json(const Uncertainty& uncertainty) {
  return {{"low_s", uncertainty.low.value},
          {"high_s", uncertainty.high ? Json(uncertainty.high->value) : Json(nullptr)},
          {"basis", uncertainty.basis}};
}

Json to_json(const MemoryUncertainty& uncertainty) {
  return {{"low_bytes", uncertainty.low.value},
          {"high_bytes", uncertainty.high ? Json(uncertainty.high->value) : Json(nullptr)},
          {"basis", uncertainty.basis}};
}

}  // namespace trainyard
