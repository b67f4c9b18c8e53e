#pragma once
#include "sim/base/json_reader.hpp"
#include "sim/scenario/input.hpp"
#include "sim/scenario/scenario.hpp"

namespace trainyard {

// Reads the key "input" from the scenario's model, cluster, GPUs and sequence length. Throws UserError.
InputOptions read_input(const JsonReader& json, const Scenario& scenario);
// Every value that is used, in the scenario's own keys.
Json input_json(const InputOptions& input);

}  // namespace trainyard
