#include "topologies/fabric/routing.hpp"

#include <algorithm>

#include "sim/base/error.hpp"
#include "sim/base/random.hpp"

namespace trainyard {
namespace {

std::int32_t choose_parent(const ClosTables& clos, std::size_t tier, std::int32_t from_nic, std::int32_t to_nic) {
  const std::int32_t parents = clos.tiers[tier].parents;
  switch (clos.policy) {
    case RoutingPolicy::kStaticRail:
      return clos.port_of_nic[static_cast<std::size_t>(to_nic)] % parents;
    case RoutingPolicy::kEcmp: {
      const auto pair = (static_cast<std::uint64_t>(from_nic) << 32U) | static_cast<std::uint64_t>(to_nic);
      return static_cast<std::int32_t>(mix(mix(pair) ^ clos.seed ^ (tier * 0x5851f42d4c957f2dULL)) %
                                       static_cast<std::uint64_t>(parents));
    }
    case RoutingPolicy::kAdaptive:
    case RoutingPolicy::kShortestPath:
      return 0;
  }
  return 0;
}

void append(std::vector<LinkId>& route, std::span<const std::int32_t> path, std::int32_t first_link) {
  for (const std::int32_t offset : path) {
    route.push_back({first_link + offset});
  }
}

bool append_network(std::vector<LinkId>& /*route*/, const std::monostate& /*network*/, std::int32_t /*from*/,
                    std::int32_t /*to*/) {
  return false;
}

bool append_network(std::vector<LinkId>& route, const ClosTables& clos, std::int32_t from, std::int32_t to) {
  const auto f = static_cast<std::size_t>(from);
  const auto t = static_cast<std::size_t>(to);
  std::int32_t x = clos.leaf_of_nic[f];
  std::int32_t y = clos.leaf_of_nic[t];
  route.push_back({clos.nic_up[f]});
  std::vector<LinkId> down{{clos.nic_up[t] + 1}};
  for (std::size_t tier = 0; x != y; ++tier) {
    if (tier == clos.tiers.size()) {
      return false;
    }
    const ClosTables::Tier& level = clos.tiers[tier];
    const std::int32_t j = choose_parent(clos, tier, from, to);
    const auto xi = static_cast<std::size_t>(x);
    const auto yi = static_cast<std::size_t>(y);
    route.push_back({level.first_up[xi] + 2 * j});
    down.push_back({level.first_up[yi] + 2 * j + 1});
    x = level.first_parent[xi] + j;
    y = level.first_parent[yi] + j;
  }
  route.insert(route.end(), down.rbegin(), down.rend());
  return true;
}

bool append_network(std::vector<LinkId>& route, const GroupTables& network, std::int32_t from, std::int32_t to) {
  const auto f = static_cast<std::size_t>(from);
  const auto t = static_cast<std::size_t>(to);
  const auto x = static_cast<std::size_t>(network.leaf_of_nic[f]);
  const auto y = static_cast<std::size_t>(network.leaf_of_nic[t]);
  route.push_back({network.nic_up[f]});
  if (x != y) {
    const std::int32_t a = network.group_of_leaf[x];
    const std::int32_t b = network.group_of_leaf[y];
    route.push_back({network.leaf_up[x]});
    if (a != b) {
      const std::int32_t link = network.between[static_cast<std::size_t>(a * network.groups + b)];
      if (link < 0) {
        return false;
      }
      route.push_back({link});
    }
    route.push_back({network.leaf_up[y] + 1});
  }
  route.push_back({network.nic_up[t] + 1});
  return true;
}

bool rails_meet_in_node(const NodeRouting& routing) {
  const auto* clos = std::get_if<ClosTables>(&routing.network);
  return clos != nullptr && clos->cross_rail_by_peer;
}

}  // namespace

void PathTable::add(std::span<const std::int32_t> path) {
  items_.insert(items_.end(), path.begin(), path.end());
  begin_.push_back(static_cast<std::int32_t>(items_.size()));
}

std::span<const std::int32_t> PathTable::operator[](std::size_t i) const {
  const auto first = static_cast<std::size_t>(begin_[i]);
  return std::span(items_).subspan(first, static_cast<std::size_t>(begin_[i + 1]) - first);
}

std::vector<LinkId> find_route(const NodeRouting& routing, std::size_t from, std::size_t to) {
  const auto& a = routing.nodes[static_cast<std::size_t>(routing.node_of_device[from])];
  const auto& b = routing.nodes[static_cast<std::size_t>(routing.node_of_device[to])];
  const NodePaths& shape_a = routing.shapes[static_cast<std::size_t>(a.paths)];
  const NodePaths& shape_b = routing.shapes[static_cast<std::size_t>(b.paths)];
  const std::size_t i = from - static_cast<std::size_t>(a.first_device);
  const std::size_t j = to - static_cast<std::size_t>(b.first_device);
  std::vector<LinkId> route;
  if (&a == &b) {
    append(route, shape_a.device_to_device[i * static_cast<std::size_t>(shape_a.devices) + j], a.first_link);
    return route;
  }
  route.reserve(12);
  TY_ASSERT(shape_a.nics > 0 && shape_b.nics > 0);
  std::size_t exit = i;
  const std::int32_t nic_b = shape_b.nic_of_device[j];
  std::int32_t nic_a = shape_a.nic_of_device[i];
  if (nic_a != nic_b && nic_b < shape_a.nics && shape_a.peers_joined && rails_meet_in_node(routing)) {
    const auto owner = std::find(shape_a.nic_of_device.begin(), shape_a.nic_of_device.end(), nic_b);
    TY_ASSERT(owner != shape_a.nic_of_device.end());
    exit = static_cast<std::size_t>(owner - shape_a.nic_of_device.begin());
    append(route, shape_a.device_to_device[i * static_cast<std::size_t>(shape_a.devices) + exit], a.first_link);
    nic_a = nic_b;
  }
  append(route, shape_a.device_to_nic[exit * static_cast<std::size_t>(shape_a.nics) + static_cast<std::size_t>(nic_a)],
         a.first_link);
  const bool reached = std::visit(
      [&](const auto& network) { return append_network(route, network, a.first_nic + nic_a, b.first_nic + nic_b); },
      routing.network);
  TY_ASSERT(reached);
  append(route, shape_b.nic_to_device[static_cast<std::size_t>(nic_b) * static_cast<std::size_t>(shape_b.devices) + j],
         b.first_link);
  return route;
}

std::vector<LinkId> find_host_route(const NodeRouting& routing, std::size_t device, HostWay way) {
  const auto& node = routing.nodes[static_cast<std::size_t>(routing.node_of_device[device])];
  const NodePaths& shape = routing.shapes[static_cast<std::size_t>(node.paths)];
  const PathTable& paths = way == HostWay::kToHost ? shape.device_to_host : shape.host_to_device;
  std::vector<LinkId> route;
  append(route, paths[device - static_cast<std::size_t>(node.first_device)], node.first_link);
  return route;
}

std::vector<LinkId> find_route(const TorusRouting& routing, std::size_t from, std::size_t to) {
  std::vector<LinkId> route;
  const std::size_t dimensions = routing.dimensions.size();
  std::size_t stride = 1;
  std::size_t at = from;
  for (std::size_t d = 0; d < dimensions; ++d) {
    const auto size = static_cast<std::size_t>(routing.dimensions[d]);
    const std::size_t goal = to / stride % size;
    const std::size_t ahead = (goal + size - at / stride % size) % size;
    const bool up = ahead * 2 <= size;
    for (std::size_t step = up ? ahead : size - ahead; step > 0; --step) {
      const std::size_t x = at / stride % size;
      const std::size_t next = up ? (x + 1) % size : (x + size - 1) % size;
      route.push_back({routing.links[at * 2 * dimensions + 2 * d + (up ? 0 : 1)]});
      at = at - x * stride + next * stride;
    }
    stride *= size;
  }
  return route;
}

std::vector<LinkId> find_route(const ShortestPathRouting& routing, std::size_t from, std::size_t to) {
  std::vector<LinkId> route;
  auto at = static_cast<std::size_t>(routing.device_vertex[from]);
  while (true) {
    const std::int32_t link = routing.next_link[to * routing.vertices + at];
    if (link < 0) {
      return route;
    }
    route.push_back({link});
    at = static_cast<std::size_t>(routing.link_target[static_cast<std::size_t>(link)]);
  }
}

}  // namespace trainyard
