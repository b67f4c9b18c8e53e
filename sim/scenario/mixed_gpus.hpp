#pragma once
// Which GPU every rank has. A cluster whose nodes are of several kinds may hold different ones.
#include <optional>
#include <string>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "sim/scenario/scenario.hpp"

namespace trainyard {

// Fills the scenario's GPUs from its cluster, or from the key "gpu", which replaces all of the cluster's. Throws
// UserError on unknown names.
void settle_gpus(Scenario& scenario, const std::optional<JsonReader>& gpu);

// What of the GPUs is not what it seems: nothing of their kind was measured, or the key "gpu" put them between links
// that they do not have.
std::vector<std::string> gpu_notes(const Scenario& scenario);

// "64 x a100-80", "32 x a100-80 + 32 x h100-sxm"
std::string gpus_text(const Scenario& scenario);

}  // namespace trainyard
