#pragma once
// What an engine's timeline sums up to.
#include <cstdint>
#include <span>

#include "sim/engine/quotient.hpp"
#include "sim/engine/timeline.hpp"
#include "topologies/fabric/fabric.hpp"

namespace trainyard {

// Fills in the step, and what the links carried when every group class was called so many times.
void add_totals(Timeline& timeline, const Quotient& quotient, const Fabric& fabric,
                std::span<const std::int64_t> calls);

}  // namespace trainyard
