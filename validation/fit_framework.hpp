#pragma once
// Fits what a framework profile cannot look up: host time per call and the share of their isolated rate that kernels
// reach.
#include <filesystem>
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
};

// Minimises the mean absolute logarithm of predicted over measured step time, each capped at 0.25 so that outliers of a
// shared cluster do not lead. Returns {"values": {...}, "fits": [{table, rows, mean_abs_error, held_out: [...]}]} in
// the form of a profile file: `values` from all rows, `held_out` by fold without the fold's rows; `mean_abs_error` is
// of held-out predictions. Throws UserError when fewer than ten usable rows per parameter remain.
Json fit_framework(const FrameworkFitRequest& request);

std::vector<std::string> fitted_parameter_names();

}  // namespace trainyard
