#pragma once
// Values of a scenario that must go together. All throw UserError naming the key in `file` (exit code 2).
#include <string>

#include "sim/scenario/scenario.hpp"

namespace trainyard {

// Degrees of parallelism against the GPUs, the model and one another.
void check_layout(const Scenario& scenario, const std::string& file);
// Settles how many ranks share a copy of the model, and with it whether sharding is full or hybrid.
void settle_sharding(Scenario& scenario, const std::string& file);
// Batches, recomputation, ZeRO stage and sequence length against the layout and the model.
void check_training(const Scenario& scenario, const std::string& file);

}  // namespace trainyard
