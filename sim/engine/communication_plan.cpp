#include "sim/engine/communication_plan.hpp"

#include <vector>

namespace trainyard {

CollectivePlan plan_of(const Communication& communication, std::span<const DeviceId> members,
                       const NetworkCosts& costs) {
  std::vector<Transfer> transfers;
  transfers.reserve(communication.transfers.size());
  for (const MemberTransfer& one : communication.transfers) {
    transfers.push_back({.from = members[static_cast<std::size_t>(one.from)],
                         .to = members[static_cast<std::size_t>(one.to)],
                         .bytes = one.bytes});
  }
  return costs.plan({.op = communication.op,
                     .size = communication.size,
                     .members = members,
                     .transfers = transfers,
                     .host = communication.host});
}

}  // namespace trainyard
