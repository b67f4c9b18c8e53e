#pragma once
// The key "variation" of a scenario.
#include <string>

#include "sim/scenario/scenario.hpp"

namespace trainyard {

// Reads the key; the ranks of nodes follow from the scenario's cluster and GPUs. Throws UserError.
VariationOptions read_variation(const JsonReader& json, const Scenario& scenario);
Json variation_json(const VariationOptions& variation);
// One line for people.
std::string variation_text(const VariationOptions& variation);

}  // namespace trainyard
