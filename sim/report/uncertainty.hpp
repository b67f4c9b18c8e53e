#pragma once
// How far a prediction may be off: as far as predictions of published runs were.
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "sim/base/quantity.hpp"

namespace trainyard {

// "Nine of ten" takes ten rows.
inline constexpr std::size_t kFewestBandRows = 10;

// Absolute errors of predictions of measured rows.
struct ErrorBand {
  std::int64_t rows = 0;
  std::int64_t assumed = 0;    // of them, those for which something was assumed
  double p90_abs_error = 0.0;  // a fraction; nine of ten rows were within it
};

// Measured runs of one framework profile and how far predictions were from them.
struct ValidatedFamily {
  std::string framework;
  std::vector<std::string> tables;
  ErrorBand step;
  std::optional<ErrorBand> memory;  // of the runs whose memory was measured
};

// Reads validation/accuracy.json below the home folder, which `trainyard validate all --write` wrote; nothing where
// there is none.
std::vector<ValidatedFamily> load_accuracy();
std::vector<ValidatedFamily> read_accuracy(const JsonReader& json);

// Where a measurement of what was predicted would lie in nine of ten cases.
template <class Quantity>
struct Interval {
  Quantity low{};
  std::optional<Quantity> high;  // nothing where there is no band
  std::string basis;             // what the band rests on
};
using Uncertainty = Interval<Seconds>;
using MemoryUncertainty = Interval<Bytes>;

// error = predicted / measured - 1 lies within +-p90, so measured lies between predicted / (1 + p90) and
// predicted / (1 - p90). A framework profile with fewer than ten measured rows, or errors of the whole and more, gets
// the widest band of those that bound anything.
Uncertainty uncertainty_of(Seconds step, std::string_view framework, std::span<const ValidatedFamily> families);
MemoryUncertainty uncertainty_of(Bytes memory, std::string_view framework, std::span<const ValidatedFamily> families);

// {"low_s", "high_s", "basis"} and {"low_bytes", "high_bytes", "basis"}.
Json to_json(const Uncertainty& uncertainty);
Json to_json(const MemoryUncertainty& uncertainty);

}  // namespace trainyard
