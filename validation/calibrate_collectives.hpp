#pragma once
// A user's own collective calibration: curves fitted to an nccl-tests log or to the microbenchmark suite's output.
#include <optional>
#include <string>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "sim/base/work.hpp"

namespace trainyard {

struct CollectiveCalibrationRequest {
  std::string cluster;             // of the catalogue: what was measured
  std::vector<std::string> files;  // nccl-tests logs; suite output (.jsonl)
  std::optional<CollectiveOp> op;  // of logs that do not say it
};

// A calibration as sim/collectives/calibration holds it, with "fit": {inputs, cross-validated errors, valid range}.
// Throws UserError for files that are neither kind, for ranks that do not fit the cluster, for fewer than two rows for
// each of a curve's parameters, and for repeats that disagree. Deterministic.
Json calibrate_collectives(const CollectiveCalibrationRequest& request);

}  // namespace trainyard
