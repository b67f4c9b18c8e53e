#pragma once
// Fits what a framework profile cannot look up: host time per call and the share of their isolated rate that kernels
// reach.
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "sim/scenario/scenario.hpp"

namespace trainyard {

struct FrameworkFitRequest {
  std::string framework;                      // catalogue name: its runs in the tables are used
  std::vector<std::filesystem::path> tables;  // of measured runs
  Network network = Network::kAnalytic;
  std::vector<std::string> parameters;  // of kFittedParameters; the others keep the profile's values
  std::size_t folds = 2;                // at least 2
  // Rows that take part, drawn by the hashes of their ids; all unless there are more.
  std::size_t most_rows = std::numeric_limits<std::size_t>::max();
};

// Minimises the mean absolute logarithm of predicted over measured step time, each capped at 0.25 so that outliers of a
// shared cluster do not lead; of a row that leaves settings open the nearest prediction counts. Returns {"host": {...},
// "kernel_rate": ..., "fits": [{table, rows, mean_abs_error, held_out: [...]}]} in the form of a profile file:
// `held_out` by fold from the other folds' rows, the values for everybody at their geometric mean; `mean_abs_error` is
// of held-out predictions, made without a look at the measurement. Throws UserError when fewer than ten usable rows per
// parameter remain.
Json fit_framework(const FrameworkFitRequest& request);

std::vector<std::string> fitted_parameter_names();

}  // namespace trainyard
