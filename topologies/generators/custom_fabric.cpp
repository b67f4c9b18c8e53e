#include "topologies/generators/custom_fabric.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "topologies/generators/node_shape.hpp"

namespace trainyard {
namespace {

constexpr std::int64_t kMostVertices = 1 << 20;

std::vector<Vertex> read_vertices(const JsonReader& fabric) {
  std::vector<Vertex> vertices;
  std::map<std::pair<int, VertexKind>, int> seen;
  for (const JsonReader& json : fabric.at("vertices").elements()) {
    json.expect_keys({"kind", "node"});
    Vertex vertex{.kind = json.at("kind").choice(kVertexKindNames)};
    if (const auto node = json.find("node")) {
      vertex.node = static_cast<int>(node->integer(0, kMostVertices));
    } else if (vertex.kind == VertexKind::kGpu) {
      json.fail("a GPU stands in a node", "\"node\": 0 or more");
    }
    vertex.index = seen[{vertex.node, vertex.kind}]++;
    vertices.push_back(vertex);
  }
  return vertices;
}

}  // namespace

NodeTraits custom_traits(const JsonReader& fabric) {
  fabric.expect_keys({"vertices", "links", "scale_up", "source"});
  NodeTraits traits{.scale_up = fabric.at("scale_up").choice(kScaleUpNames)};
  for (const JsonReader& json : fabric.at("links").elements()) {
    const LinkReading link = read_link(json);
    switch (json.at("kind").choice(kLinkKindNames)) {
      case LinkKind::kNvLink:
        traits.scale_up_links = 1;
        traits.scale_up_link_bandwidth = link.nominal;
        traits.scale_up_link_payload = link.payload;
        break;
      case LinkKind::kPcie:
        traits.pcie_bandwidth = link.nominal;
        break;
      case LinkKind::kChipToChip:
        break;  // leads to a host's memory, not to other devices
      case LinkKind::kCpuInterconnect:
        traits.cpu_interconnect_bandwidth = link.nominal;
        break;
      case LinkKind::kNetwork:
        traits.nic_bandwidth = link.nominal;
        traits.nics = 1;
        break;
    }
  }
  if (traits.pcie_bandwidth.value <= 0.0) {
    traits.pcie_bandwidth = max(traits.nic_bandwidth, traits.scale_up_link_bandwidth);
  }
  return traits;
}

std::vector<int> custom_gpus_of_nodes(const JsonReader& fabric) {
  std::map<int, int> gpus;
  for (const Vertex& vertex : read_vertices(fabric)) {
    if (vertex.kind == VertexKind::kGpu) {
      ++gpus[vertex.node];
    }
  }
  std::vector<int> out;
  for (const auto& [node, count] : gpus) {
    out.push_back(count);
  }
  return out;
}

Fabric build_custom(const JsonReader& fabric, const std::string& name, int devices) {
  std::vector<Vertex> vertices = read_vertices(fabric);
  int gpus = 0;
  int last_node = -1;
  for (Vertex& vertex : vertices) {
    if (vertex.kind != VertexKind::kGpu) {
      continue;
    }
    if (vertex.node < last_node) {
      fabric.at("vertices").fail("GPUs are listed node by node", "ascending nodes");
    }
    last_node = vertex.node;
    if (++gpus > devices) {
      vertex.kind = VertexKind::kCpu;  // a slot that the job does not use
    }
  }
  if (gpus < devices) {
    fabric.at("vertices").fail("the fabric has fewer GPUs than asked for", fmt::format("up to {} GPUs", gpus));
  }
  const auto last = static_cast<std::int64_t>(vertices.size()) - 1;
  std::vector<Link> links;
  for (const JsonReader& json : fabric.at("links").elements()) {
    json.expect_keys({"from", "to", "kind", "bandwidth", "latency", "efficiency", "links"});
    const LinkReading link = read_link(json);
    const VertexId from{static_cast<std::int32_t>(json.at("from").integer(0, last))};
    const VertexId to{static_cast<std::int32_t>(json.at("to").integer(0, last))};
    if (from == to) {
      json.at("to").fail("a link joins two different vertices");
    }
    const LinkKind kind = json.at("kind").choice(kLinkKindNames);
    links.push_back({from, to, kind, link.payload, link.latency});
    links.push_back({to, from, kind, link.payload, link.latency});
  }
  return Fabric(name, std::move(vertices), std::move(links), fabric.file());
}

}  // namespace trainyard
