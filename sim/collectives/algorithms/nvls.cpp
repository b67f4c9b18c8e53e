// NVLS: switches reduce and multicast. For all-reduce a member sends its payload once and receives the result once;
// all-gather sends its own share once and receives everything, reduce-scatter the other way round. Between nodes every
// member is the head of 1/g of the payload, which trees reduce over its rail (NVLSTree).
#include "sim/base/error.hpp"
#include "sim/collectives/algorithms/traffic.hpp"

namespace trainyard {

std::vector<Flow> nvls_traffic_inside(const TrafficInput& input) {
  std::vector<Flow> flows;
  flows.reserve(3 * input.groups.members);
  const double n = static_cast<double>(input.groups.members);
  double sent = 1.0;
  double received = 1.0;
  if (input.request.op == CollectiveOp::kAllGather) {
    sent = 1.0 / n;
    received = (n - 1.0) / n;
  } else if (input.request.op == CollectiveOp::kReduceScatter) {
    sent = (n - 1.0) / n;
    received = 1.0 / n;
  }
  for (const MemberNode& node : input.groups.nodes) {
    for (std::size_t m = 0; m < node.members.size(); ++m) {
      const DeviceId from = node.members[m];
      const DeviceId to = node.members[(m + 1) % node.members.size()];
      const std::vector<LinkId> route = input.fabric.route(from, to);
      TY_ASSERT(route.size() == 2);  // up to the switch, down from it
      flows.push_back({.from = from, .to = to, .route = {route[0]}, .bytes = input.request.size * sent});
      flows.push_back({.from = from, .to = to, .route = {route[1]}, .bytes = input.request.size * received});
    }
  }
  return flows;
}

std::vector<Flow> nvls_traffic(const TrafficInput& input) {
  std::vector<Flow> flows = nvls_traffic_inside(input);
  const double nodes = static_cast<double>(input.groups.nodes.size());
  const double passes = input.request.op == CollectiveOp::kAllReduce ? 2.0 : 1.0;
  add_rail_cycle(flows, input, input.request.size * (passes * (nodes - 1.0) / nodes));
  return flows;
}

}  // namespace trainyard
