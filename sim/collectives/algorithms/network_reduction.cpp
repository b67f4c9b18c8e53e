// CollNet and NVLS over switches that reduce (SHARP): between nodes the payload is sent up once and the result comes
// back once, each member being the head of its share. Inside a node CollNetDirect scatters and gathers among all
// members, CollNetChain passes along a chain, NVLS uses the node's switch.
#include "sim/collectives/algorithms/traffic.hpp"

namespace trainyard {

std::vector<Flow> network_reduction_traffic(const TrafficInput& input, InsideNode inside) {
  std::vector<Flow> flows;
  const bool all_reduce = input.request.op == CollectiveOp::kAllReduce;
  const Bytes size = input.request.size;
  if (inside == InsideNode::kSwitch) {
    flows = nvls_traffic_inside(input);
  } else {
    for (const MemberNode& node : input.groups.nodes) {
      const std::size_t local = node.members.size();
      const double share = static_cast<double>(local - 1) / static_cast<double>(local);
      for (std::size_t m = 0; m < local && local > 1; ++m) {
        const DeviceId a = node.members[m];
        const DeviceId b = node.members[(m + 1) % local];
        add_flow(flows, input.fabric, a, b, size * share);
        if (all_reduce) {
          add_flow(flows, input.fabric, b, a, size * share);
        }
      }
    }
  }
  add_rail_cycle(flows, input, size);
  return flows;
}

}  // namespace trainyard
