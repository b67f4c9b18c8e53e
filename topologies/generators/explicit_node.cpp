// A node given as lists of vertices and links: importers and users with machines that no generator describes.
#include "topologies/generators/node_shape.hpp"

namespace trainyard {
namespace {

// A vertex is its kind, or {"kind": "nic", "bandwidth"} for a NIC of a rate of its own.
void read_vertex(const JsonReader& vertex, NodeShape& shape) {
  if (!vertex.value().is_object()) {
    shape.add_vertex(vertex.choice(kVertexKindNames));
    return;
  }
  vertex.expect_keys({"kind", "bandwidth"});
  const VertexKind kind = vertex.at("kind").choice(kVertexKindNames);
  shape.add_vertex(kind);
  if (const auto bandwidth = vertex.find("bandwidth")) {
    if (kind != VertexKind::kNic) {
      bandwidth->fail("only a NIC has a rate of its own", "\"kind\": \"nic\"");
    }
    shape.nic_rates.back() = bandwidth->bytes_per_second();
    if (shape.nic_rates.back().value <= 0.0) {
      bandwidth->fail("a NIC needs bandwidth", "more than 0 GB/s");
    }
  }
}

}  // namespace

NodeShape make_explicit_node(const JsonReader& node) {
  node.expect_keys({"generator", "scale_up", "scale_up_links", "scale_up_link_bandwidth", "scale_up_link_payload",
                    "pcie_bandwidth", "cpu_interconnect_bandwidth", "vertices", "links", "host", "nics", "source"});
  constexpr int kMostNodeVertices = 65536;
  NodeShape shape;
  for (const JsonReader& vertex : node.at("vertices").elements()) {
    read_vertex(vertex, shape);
    if (shape.vertices.size() > kMostNodeVertices) {
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
  if (const auto between = node.find("cpu_interconnect_bandwidth")) {
    shape.traits.cpu_interconnect_bandwidth = between->bytes_per_second();
  }
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
    // A collective goes as fast as its slowest NIC.
    shape.traits.nic_bandwidth = read_link(*nics).nominal;
    for (const BytesPerSecond rate : shape.nic_rates) {
      shape.traits.nic_bandwidth =
          rate.value > 0.0 ? min(shape.traits.nic_bandwidth, rate) : shape.traits.nic_bandwidth;
    }
  }
  if (!reaches_all_devices(shape)) {
    node.at("links").fail("the links do not join all GPUs of the node, or a GPU reaches none of its NICs");
  }
  return shape;
}

}  // namespace trainyard
