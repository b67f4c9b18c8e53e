#pragma once
#include <string>

#include "sim/scenario/scenario.hpp"

namespace trainyard {

// What a strategy of many updates asks of the layout and the recipe. Throws UserError.
void check_update_strategy(const Scenario& scenario, const std::string& file);

}  // namespace trainyard
