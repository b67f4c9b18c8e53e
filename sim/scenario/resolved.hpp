#pragma once
#include "sim/scenario/scenario.hpp"

namespace trainyard {

// A scenario in its own schema (the keys of sim/scenario/README.md), every value written out; model and cluster as they
// were stated. Parts that were not asked for (offload, variation) are left out.
Json resolved_document(const Scenario& scenario, const Json& model, const Json& cluster);

}  // namespace trainyard
