#include "validation/fit/sustained_clocks.hpp"

#include <algorithm>
#include <vector>

#include "validation/tables/statistics.hpp"
#include "validation/tables/suite_records.hpp"

namespace trainyard {
namespace {

// One GEMM on one GPU, however it was timed.
std::string shape_of(const KernelMeasurement& row) {
  std::string variant = row.variant;
  for (const std::string_view mode : {" sustained ", " burst "}) {
    if (const std::size_t at = variant.find(mode); at != std::string::npos) {
      variant.erase(at, mode.size());
    }
  }
  return row.group + " " + row.configuration + " " + variant;
}

struct Times {
  std::vector<double> burst;
  std::vector<double> sustained;
};

}  // namespace

std::map<PrecisionFamily, SustainedClock> sustained_clocks(const MeasurementRows& rows) {
  std::map<PrecisionFamily, std::map<std::string, Times>> measured;
  for (const KernelMeasurement* row : rows) {
    if (row->kind() == KernelKind::kGemm && (row->source == kSuiteBurst || row->source == kSuiteSustained)) {
      Times& times = measured[family_of(*row)][shape_of(*row)];
      (row->source == kSuiteSustained ? times.sustained : times.burst).push_back(row->measured.value);
    }
  }
  std::map<PrecisionFamily, SustainedClock> out;
  for (const auto& [family, shapes] : measured) {
    std::vector<double> ratios;
    for (const auto& [shape, times] : shapes) {
      if (!times.burst.empty() && !times.sustained.empty()) {
        ratios.push_back(*quantile(times.burst, 0.5) / *quantile(times.sustained, 0.5));
      }
    }
    if (ratios.size() >= kFewestPairs) {
      out[family] = {.pairs = ratios.size(), .ratio = std::min(1.0, *quantile(ratios, 0.5))};
    }
  }
  return out;
}

}  // namespace trainyard
