#pragma once
// Keys that were stated and change nothing, in words: nothing is ignored in silence.
#include <string>
#include <vector>

#include "sim/scenario/scenario.hpp"

namespace trainyard {

// One note for every key of the document that states another value than its neutral one and that nothing of this
// scenario reads.
std::vector<std::string> idle_keys(const Scenario& scenario, const Json& document);

}  // namespace trainyard
