#pragma once
// A user's own collective calibration: curves fitted to an nccl-tests log or to the microbenchmark suite's output.
#include "sim/base/json_reader.hpp"
#include "validation/tables/collective_sources.hpp"

namespace trainyard {

// A calibration of the sources' cluster, which has to be named, as sim/collectives/calibration holds it, with "fit":
// {inputs, cross-validated errors, valid range}. Throws UserError for measurements of other GPUs or of ranks that do
// not fit the cluster, for fewer than two rows for each of a curve's parameters, and for repeats that disagree.
// Deterministic.
Json calibrate_collectives(const CollectiveSources& sources);

}  // namespace trainyard
