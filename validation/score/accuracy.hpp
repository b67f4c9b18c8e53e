#pragma once
// What past errors say about future predictions: validation/accuracy.json, which reports read.
#include "sim/base/json_reader.hpp"
#include "sim/scenario/scenario.hpp"

namespace trainyard {

// From the "rows" of validate_runs: the error of each framework profile over the rows that state their recipe and their
// framework; where the source leaves a setting open, that of the profile's default. Rows that assume something count
// where a profile has too few others for a band: their error is not the simulator's alone, and they are counted apart.
Json accuracy_by_framework(const Json& scores, Network network);

}  // namespace trainyard
