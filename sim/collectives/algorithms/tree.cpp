// Double binary tree: all-reduce sends the payload up and down. Between nodes every node is inner in one tree and leaf
// in the other, so it sends and receives twice the payload (Sanders, Speck, Traeff, "Two-tree algorithms", 2009);
// inside a node the members are a chain whose entry rotates over the channels. Approximation: between nodes each rail
// sends its share to the next node instead of to both trees' parents and children. The load on every NIC and leaf is
// that of the trees; which spine links are crossed is not, and that only matters where the network above the leaves is
// oversubscribed. In return nodes stay interchangeable.
#include "sim/collectives/algorithms/traffic.hpp"

namespace trainyard {

std::vector<Flow> tree_traffic(const TrafficInput& input) {
  std::vector<Flow> flows;
  flows.reserve(3 * input.groups.members);
  const Bytes size = input.request.size;
  for (const MemberNode& node : input.groups.nodes) {
    const std::size_t local = node.members.size();
    if (local < 2) {
      continue;
    }
    const double share = static_cast<double>(local - 1) / static_cast<double>(local);
    for (std::size_t m = 0; m < local; ++m) {
      const DeviceId a = node.members[m];
      const DeviceId b = node.members[(m + 1) % local];
      add_flow(flows, input.fabric, a, b, size * share);
      add_flow(flows, input.fabric, b, a, size * share);
    }
  }
  const double nodes = static_cast<double>(input.groups.nodes.size());
  add_rail_cycle(flows, input, size * (2.0 * (nodes - 1.0) / nodes));
  return flows;
}

}  // namespace trainyard
