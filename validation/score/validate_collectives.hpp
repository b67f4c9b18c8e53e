#pragma once
// Accuracy of predicted collectives on measurements.
#include <string>

#include "sim/base/json_reader.hpp"
#include "validation/tables/collective_sources.hpp"

namespace trainyard {

inline constexpr double kLargeMessage = 1048576.0;  // bytes: bars and scores tell sizes apart from 1 MiB on

struct CollectiveValidation {
  std::string text;  // table for people
  Json json;         // the contract's "files" and "rows"; "systems", "skipped" and "missed" beside them
};

// Every row is predicted as a user of its cluster gets it, with the calibration that ships (`predicted`, `error`), and
// by curves fitted to the other four fifths of its system's rows, cut by configuration (operation, ranks, size), so
// that no row is predicted by a curve that has seen it (`held_out_error`).
CollectiveValidation validate_collectives(const CollectiveSources& sources);

}  // namespace trainyard
