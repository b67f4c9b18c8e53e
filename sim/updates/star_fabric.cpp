#include "sim/updates/star_fabric.hpp"

#include <utility>

namespace trainyard {

Fabric star_fabric(const std::vector<Nic>& nodes) {
  std::vector<Vertex> vertices(nodes.size(), {.kind = VertexKind::kNic});
  vertices.front().kind = VertexKind::kGpu;  // a fabric has one at least; nothing is routed by it
  const VertexId hub = VertexId::from(nodes.size());
  vertices.push_back({.kind = VertexKind::kSpine});
  std::vector<Link> links;
  for (std::size_t node = 0; node < nodes.size(); ++node) {
    const VertexId vertex = VertexId::from(node);
    vertices[node].node = static_cast<int>(node);
    links.push_back({vertex, hub, LinkKind::kNetwork, nodes[node].bandwidth, nodes[node].latency});
    links.push_back({hub, vertex, LinkKind::kNetwork, nodes[node].bandwidth, nodes[node].latency});
  }
  return {"nodes around a network", std::move(vertices), std::move(links)};
}

std::vector<LinkClass> star_links(std::size_t nodes) {
  std::vector<LinkClass> out;
  for (std::size_t node = 0; node < nodes; ++node) {
    out.push_back({.representative = out_of(node), .count = 1});
    out.push_back({.representative = into(node), .count = 1});
  }
  return out;
}

}  // namespace trainyard
