#pragma once
// Max-min fair sharing of links among the flows of plans (fair_shares.hpp): the clock of plans alone.
#include <span>
#include <vector>

#include "sim/collectives/base/collective.hpp"

namespace trainyard {

// Rates when all flows run at once: progressive filling, a flow also stops at its own limit.
std::vector<BytesPerSecond> max_min_rates(std::span<const Flow> flows, const Fabric& fabric);

// When each flow ends, counted from the common start; shares are solved again whenever flows end.
std::vector<Seconds> flow_ends(std::span<const Flow> flows, const Fabric& fabric);

// Plans that start together and share the fabric: when each is over, latency included. The latency of a plan delays
// its own flows only.
std::vector<Seconds> concurrent_times(std::span<const CollectivePlan> plans, const Fabric& fabric);

}  // namespace trainyard
