#pragma once
// Collectives round by round: what every member sends in each step of an algorithm. The oracle of the fluid form, the
// form of algorithms that NCCL does not have, and a picture for teaching.
#include <span>
#include <vector>

#include "sim/collectives/algorithms/expansions.hpp"

namespace trainyard {

// Sum over the rounds of `per_round` and the time the round's flows take on an idle fabric.
Seconds steps_time(std::span<const Round> rounds, const Fabric& fabric, Seconds per_round);

}  // namespace trainyard
