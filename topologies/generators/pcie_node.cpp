// GPUs in PCIe slots: traffic between them climbs switches, host bridges and the link between sockets.
#include "topologies/generators/node_shape.hpp"

namespace trainyard {

NodeShape make_pcie_node(const JsonReader& node) {
  node.expect_keys({"generator", "gpus", "pcie", "chip_to_chip", "cpus", "host", "nics", "source"});
  NodeShape shape;
  const int gpus = static_cast<int>(node.at("gpus").integer(1, 1024));
  for (int g = 0; g < gpus; ++g) {
    shape.add_vertex(VertexKind::kGpu);
  }
  shape.traits.scale_up = gpus > 1 ? ScaleUp::kPcie : ScaleUp::kNone;
  add_host(shape, node);
  return shape;
}

}  // namespace trainyard
