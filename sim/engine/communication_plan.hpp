#pragma once
// The price of one group's call of a communication.
#include <span>

#include "sim/collectives/network_costs.hpp"
#include "sim/program/program.hpp"

namespace trainyard {

// `members` are the devices of one group, in group order.
CollectivePlan plan_of(const Communication& communication, std::span<const DeviceId> members,
                       const NetworkCosts& costs);

}  // namespace trainyard
