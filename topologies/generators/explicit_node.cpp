// A node given as lists of vertices and links: importers and users with machines that no generator describes.
#include "topologies/generators/node_shape.hpp"

namespace trainyard {

NodeShape make_explicit_node(const JsonReader& node) {
  node.expect_keys({"generator", "scale_up", "scale_up_links", "scale_up_link_bandwidth", "scale_up_link_payload",
                    "pcie_bandwidth", "vertices", "links", "host", "nics", "source"});
  constexpr int kMostVertices = 65536;
  NodeShape shape;
  for (const JsonReader& vertex : node.at("vertices").elements()) {
    shape.add_vertex(vertex.choice(kVertexKindNames));
    if (shape.vertices.size() > kMostVertices) {
      node.at("vertices").fail("too many vertices for one node", "up to 65536");
    }
  }
  if (shape.devices.empty()) {
    node.at("vertices").fail("a node needs a GPU", "at least one \"gpu\"");
  }
  const int last = static_cast<int>(shape.vertices.size()) - 1;
  for (const JsonReader& link : node.at("links").elements()) {
    link.expect_keys({"from", "to", "kind", "bandwidth", "latency", "efficiency", "links"});
    const LinkReading reading = read_link(link);
    const auto from = static_cast<int>(link.at("from").integer(0, last));
    const auto to = static_cast<int>(link.at("to").integer(0, last));
    if (from == to) {
      link.at("to").fail("a link joins two different vertices");
    }
    shape.add_link(from, to, link.at("kind").choice(kLinkKindNames), reading.payload, reading.latency);
  }
  shape.traits.scale_up = node.at("scale_up").choice(kScaleUpNames);
  shape.traits.pcie_bandwidth = node.at("pcie_bandwidth").bytes_per_second();
  if (const auto links = node.find("scale_up_links")) {
    shape.traits.scale_up_links = static_cast<int>(links->integer(0, 1024));
  }
  if (shape.traits.scale_up_links > 0) {
    shape.traits.scale_up_link_bandwidth = node.at("scale_up_link_bandwidth").bytes_per_second();
    shape.traits.scale_up_link_payload = node.at("scale_up_link_payload").bytes_per_second();
  }
  if (const auto nics = node.find("nics")) {
    nics->expect_keys({"links", "bandwidth", "efficiency", "latency", "source"});
    shape.traits.nics = static_cast<int>(shape.nics.size());
    shape.traits.nic_bandwidth = read_link(*nics).nominal;
  }
  if (!reaches_all_devices(shape)) {
    node.at("links").fail("the links do not join all GPUs and NICs of the node");
  }
  return shape;
}

}  // namespace trainyard
