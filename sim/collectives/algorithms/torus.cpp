// Rings of a torus: a part of the payload starts along every dimension and in either direction and then turns to the
// next dimension, so that all links of a device are always busy. Over the whole collective every link carries the same:
// a device's ring volume divided by its links. Source: the multi-dimensional ring of Kumar and Jouppi, "Highly
// available data parallel ML training on mesh networks", arXiv 2011.03605.
#include "sim/collectives/algorithms/traffic.hpp"
#include "sim/collectives/base/torus_box.hpp"

namespace trainyard {

std::optional<std::vector<Flow>> torus_traffic(const TrafficInput& input) {
  const std::vector<DeviceId>& members = input.groups.nodes.front().members;
  if (input.request.op == CollectiveOp::kBroadcast || input.request.op == CollectiveOp::kReduce) {
    return std::nullopt;
  }
  const TorusBox box = torus_box(members, input.fabric);
  if (box.sides.empty()) {
    return std::nullopt;
  }
  const Bytes each = ring_volume(input.request, members.size()) / static_cast<double>(box.links());
  std::vector<Flow> flows;
  flows.reserve(members.size() * static_cast<std::size_t>(box.links()));
  for (std::size_t i = 0; i < members.size(); ++i) {
    for (std::size_t d = 0; d < box.sides.size(); ++d) {
      const auto side = static_cast<std::size_t>(box.sides[d]);
      const auto stride = static_cast<std::size_t>(box.strides[d]);
      const std::size_t x = i / stride % side;
      const std::size_t row = i - x * stride;
      add_flow(flows, input.fabric, members[i], members[row + (x + 1) % side * stride], each);
      if (side > 2) {
        add_flow(flows, input.fabric, members[i], members[row + (x + side - 1) % side * stride], each);
      }
    }
  }
  return flows;
}

}  // namespace trainyard
