#pragma once
// Keys that were stated and change nothing, in words: nothing is ignored in silence.
#include <string>
#include <vector>

#include "sim/scenario/scenario.hpp"

namespace trainyard {

// One note for every key of the document that differs from its default and that nothing of this scenario reads.
std::vector<std::string> idle_keys(const Scenario& scenario);

}  // namespace trainyard
