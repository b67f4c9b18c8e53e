// GPUs on one NVSwitch plane: every GPU reaches every other at its full NVLink rate. The switches of the plane act as
// one because every GPU spreads its links over all of them.
#include "topologies/generators/node_shape.hpp"

namespace trainyard {

NodeShape make_nvswitch_node(const JsonReader& node) {
  node.expect_keys(
      {"generator", "gpus", "nvlink", "nvswitches", "pcie", "chip_to_chip", "cpus", "host", "nics", "source"});
  NodeShape shape;
  const int gpus = static_cast<int>(node.at("gpus").integer(1, 1024));
  for (int g = 0; g < gpus; ++g) {
    shape.add_vertex(VertexKind::kGpu);
  }
  const JsonReader nvlink = node.at("nvlink");
  nvlink.expect_keys({"links", "bandwidth", "efficiency", "latency", "source"});
  const LinkReading link = read_link(nvlink);
  const int plane = shape.add_vertex(
      VertexKind::kNvSwitch, node.has("nvswitches") ? static_cast<int>(node.at("nvswitches").integer(1, 1024)) : 1);
  for (int g = 0; g < gpus; ++g) {
    // Half of the latency on either side of the switch.
    shape.add_link(shape.devices[static_cast<std::size_t>(g)], plane, LinkKind::kNvLink, link.payload,
                   link.latency / 2.0);
  }
  shape.traits.scale_up = ScaleUp::kSwitch;
  shape.traits.scale_up_links = link.links;
  shape.traits.scale_up_link_bandwidth = link.nominal / link.links;
  shape.traits.scale_up_link_payload = link.payload / link.links;
  add_host(shape, node);
  return shape;
}

}  // namespace trainyard
