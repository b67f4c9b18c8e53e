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

// Measured runs of one framework profile and how far predictions were from them.
struct ValidatedFamily {
  std::string framework;
  std::vector<std::string> tables;
  std::int64_t rows = 0;
  double p90_abs_error = 0.0;  // a fraction; nine of ten rows were within it
};

// Reads validation/accuracy.json below the home folder, which `trainyard validate runs --write-accuracy` wrote; nothing
// where there is none.
std::vector<ValidatedFamily> load_accuracy();
std::vector<ValidatedFamily> read_accuracy(const JsonReader& json);

struct Uncertainty {
  Seconds low{};
  std::optional<Seconds> high;  // nothing when errors were so large that they bound nothing
  std::string basis;            // what the band rests on
};

// error = predicted / measured - 1 lies within +-p90, so measured lies between predicted / (1 + p90) and
// predicted / (1 - p90). A framework profile without measured runs gets the widest band there is.
Uncertainty uncertainty_of(Seconds step, std::string_view framework, std::span<const ValidatedFamily> families);

}  // namespace trainyard
