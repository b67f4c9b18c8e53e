#pragma once
#include <string>

#include "sim/scenario/scenario.hpp"

namespace trainyard {

// Throws UserError when the cluster or the data-parallel strategy cannot do what is asked.
void check_offload(const Scenario& scenario, const std::string& file);

}  // namespace trainyard
