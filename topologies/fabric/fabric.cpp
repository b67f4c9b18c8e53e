#include "topologies/fabric/fabric.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/pending/disjoint_sets.hpp>
#include <deque>
#include <numeric>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

constexpr std::size_t kLargestSearchedFabric = std::size_t{1} << 24U;  // devices x vertices of the next-link table

std::vector<VertexId> gpu_vertices(std::span<const Vertex> vertices, std::size_t limit) {
  std::vector<VertexId> out;
  out.reserve(std::min(limit, vertices.size()));
  for (std::size_t i = 0; i < vertices.size() && out.size() < limit; ++i) {
    if (vertices[i].kind == VertexKind::kGpu) {
      out.push_back(VertexId::from(i));
    }
  }
  return out;
}

// Breadth-first from every device against the direction of the links; GPUs forward for others only where nothing else
// leads there, because their links come later in the search when switches are explored first.
ShortestPathRouting search_routes(const std::string& place, std::span<const Vertex> vertices,
                                  std::span<const Link> links) {
  ShortestPathRouting routing;
  routing.vertices = vertices.size();
  for (const VertexId device : gpu_vertices(vertices, vertices.size())) {
    routing.device_vertex.push_back(device.value);
  }
  const std::size_t devices = routing.device_vertex.size();
  if (devices * vertices.size() > kLargestSearchedFabric) {
    throw UserError({.file = place,
                     .found = fmt::format("{} GPUs and {} vertices", devices, vertices.size()),
                     .allowed = fmt::format("GPUs times vertices up to {}", kLargestSearchedFabric),
                     .problem = "the fabric is too large for shortest-path routing",
                     .remedy = "describe it with a generator instead of a list of links"});
  }
  std::vector<std::vector<std::int32_t>> incoming(vertices.size());
  for (std::size_t l = 0; l < links.size(); ++l) {
    incoming[links[l].to.index()].push_back(static_cast<std::int32_t>(l));
    routing.link_target.push_back(links[l].to.value);
  }
  routing.next_link.assign(devices * vertices.size(), -1);
  std::vector<char> seen(vertices.size());
  std::deque<std::int32_t> queue;
  for (std::size_t d = 0; d < devices; ++d) {
    std::fill(seen.begin(), seen.end(), char{0});
    queue.assign(1, routing.device_vertex[d]);
    seen[static_cast<std::size_t>(queue.front())] = 1;
    while (!queue.empty()) {
      const auto at = static_cast<std::size_t>(queue.front());
      queue.pop_front();
      for (const std::int32_t l : incoming[at]) {
        const VertexId from = links[static_cast<std::size_t>(l)].from;
        if (seen[from.index()] == 0) {
          seen[from.index()] = 1;
          routing.next_link[d * vertices.size() + from.index()] = l;
          queue.push_back(from.value);
        }
      }
    }
  }
  return routing;
}

}  // namespace

Fabric::Fabric(std::string name, std::vector<Vertex> vertices, std::vector<Link> links, const std::string& file)
    : name_(std::move(name)),
      vertices_(std::move(vertices)),
      links_(std::move(links)),
      devices_(gpu_vertices(vertices_, vertices_.size())) {
  const std::string& place = file.empty() ? name_ : file;
  check_connected(place);
  routing_ = search_routes(place, vertices_, links_);
}

Fabric::Fabric(std::string name, std::vector<Vertex> vertices, std::vector<Link> links, Routing routing,
               std::size_t devices, const std::string& file)
    : name_(std::move(name)),
      vertices_(std::move(vertices)),
      links_(std::move(links)),
      devices_(gpu_vertices(vertices_, devices)),
      routing_(std::move(routing)) {
  TY_ASSERT(devices_.size() == devices);
  check_connected(file.empty() ? name_ : file);
}

// Every link has a twin in the other direction, so that connectivity of the undirected graph is enough.
void Fabric::check_connected(const std::string& place) const {
  std::vector<std::size_t> parent(vertices_.size());
  std::vector<std::uint8_t> rank(vertices_.size(), 0);
  std::iota(parent.begin(), parent.end(), 0);
  boost::disjoint_sets connected(rank.data(), parent.data());
  for (const Link& link : links_) {
    TY_ASSERT(link.from.index() < vertices_.size() && link.to.index() < vertices_.size());
    connected.union_set(link.from.index(), link.to.index());
  }
  if (devices_.empty()) {
    throw UserError({.file = place, .problem = "the fabric has no GPU"});
  }
  for (const VertexId device : devices_) {
    if (connected.find_set(device.index()) != connected.find_set(devices_.front().index())) {
      throw UserError({.file = place,
                       .found = fmt::format("no path between {} and {}", vertex_name(vertex(devices_.front())),
                                            vertex_name(vertex(device))),
                       .problem = "the devices of the fabric are not connected",
                       .remedy = "give the nodes NICs and a network, or use one node only"},
                      ExitCode::kInfeasible);
    }
  }
}

std::vector<LinkId> Fabric::route(DeviceId from, DeviceId to) const {
  TY_ASSERT(from.index() < devices_.size() && to.index() < devices_.size());
  if (from == to) {
    return {};
  }
  return std::visit([&](const auto& routing) { return find_route(routing, from.index(), to.index()); }, routing_);
}

std::vector<LinkId> Fabric::host_route(DeviceId device, HostWay way) const {
  TY_ASSERT(device.index() < devices_.size());
  const auto* nodes = std::get_if<NodeRouting>(&routing_);
  return nodes == nullptr ? std::vector<LinkId>{} : find_host_route(*nodes, device.index(), way);
}

int Fabric::rail_of(DeviceId device) const {
  const auto* nodes = std::get_if<NodeRouting>(&routing_);
  if (nodes == nullptr) {
    return -1;
  }
  const auto& node = nodes->nodes[static_cast<std::size_t>(nodes->node_of_device[device.index()])];
  return nodes->shapes[static_cast<std::size_t>(node.paths)]
      .nic_of_device[device.index() - static_cast<std::size_t>(node.first_device)];
}

std::string vertex_name(const Vertex& vertex) {
  const std::string_view kind = kVertexKindNames.name_of(vertex.kind);
  return vertex.node < 0 ? fmt::format("{} {}", kind, vertex.index)
                         : fmt::format("{} {} of node {}", kind, vertex.index, vertex.node);
}

}  // namespace trainyard
