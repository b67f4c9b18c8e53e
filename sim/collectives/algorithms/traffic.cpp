#include "sim/collectives/algorithms/traffic.hpp"

namespace trainyard {

void add_flow(std::vector<Flow>& flows, const Fabric& fabric, DeviceId from, DeviceId to, Bytes bytes) {
  if (from != to && bytes.value > 0.0) {
    flows.push_back({.from = from, .to = to, .route = fabric.route(from, to), .bytes = bytes});
  }
}

void add_rail_cycle(std::vector<Flow>& flows, const TrafficInput& input, Bytes per_node) {
  const std::vector<MemberNode>& nodes = input.groups.nodes;
  const std::size_t rails = input.groups.smallest;
  if (nodes.size() < 2) {
    return;
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const MemberNode& next = nodes[(i + 1) % nodes.size()];
    for (std::size_t r = 0; r < rails; ++r) {
      add_flow(flows, input.fabric, nodes[i].members[r], next.members[r], per_node / static_cast<double>(rails));
    }
  }
}

}  // namespace trainyard
