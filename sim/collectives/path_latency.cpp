#include "sim/collectives/path_latency.hpp"

#include <algorithm>
#include <map>
#include <variant>

#include "sim/collectives/algorithms/double_tree.hpp"
#include "sim/collectives/point_to_point.hpp"

namespace trainyard {
namespace {

// Paths of the hardware that the tables describe, as the catalogue states them for DGX nodes: NVLink directly or
// through the node's switch, PCIe through one switch, and from GPU to GPU through PCIe, a NIC of 1 us, an InfiniBand
// switch of 0.2 us and the same again. Source: topologies/clusters/dgx-1-v100.json, dgx-a100.json, dgx-h100.json,
// pcie-a100-8.json.
constexpr Seconds kNvLinkPath = 1.3_us;
constexpr Seconds kPciePath = 1_us;
constexpr Seconds kNetworkPath = 4.4_us;

Seconds latency_of(const std::vector<LinkId>& route, const Fabric& fabric) {
  Seconds sum{};
  for (const LinkId link : route) {
    sum += fabric.link(link).latency;
  }
  return sum;
}

Seconds network_latency_of(const std::vector<LinkId>& route, const Fabric& fabric) {
  Seconds sum{};
  for (const LinkId link : route) {
    sum += fabric.link(link).kind == LinkKind::kNetwork ? fabric.link(link).latency : Seconds{};
  }
  return sum;
}

bool is_clos(const Fabric& fabric) {
  const auto* nodes = std::get_if<NodeRouting>(&fabric.routing());
  return nodes != nullptr && std::holds_alternative<ClosTables>(nodes->network);
}

// Between the first members of two nodes; all rails are alike.
Seconds between_nodes(const MemberGroups& groups, std::size_t a, std::size_t b, const Fabric& fabric) {
  return a == b ? Seconds{} : excess_latency(groups.nodes[a].members.front(), groups.nodes[b].members.front(), fabric);
}

// Mean over the hops of a ring through the fullest node.
Seconds mean_inside(const MemberGroups& groups, const Fabric& fabric, const std::vector<int>& order) {
  const auto fullest =
      std::max_element(groups.nodes.begin(), groups.nodes.end(),
                       [](const MemberNode& a, const MemberNode& b) { return a.members.size() < b.members.size(); });
  const std::vector<DeviceId>& members = fullest->members;
  const std::size_t local = members.size();
  if (local < 2) {
    return {};
  }
  Seconds sum{};
  const bool ordered = order.size() == local;
  const auto at = [&](std::size_t i) {
    return members[ordered ? static_cast<std::size_t>(order[i % local]) : i % local];
  };
  for (std::size_t i = 0; i < local; ++i) {
    sum += excess_latency(at(i), at(i + 1), fabric);
  }
  return sum / static_cast<double>(local);
}

// Every edge of the cycle of nodes but the shortest: what the chunk with the longest way crosses in one pass.
Seconds once_round(const MemberGroups& groups, const Fabric& fabric) {
  const std::size_t nodes = groups.nodes.size();
  if (nodes < 2) {
    return {};
  }
  Seconds sum{};
  Seconds least = between_nodes(groups, nodes - 1, 0, fabric);
  for (std::size_t i = 0; i < nodes; ++i) {
    const Seconds edge = between_nodes(groups, i, (i + 1) % nodes, fabric);
    sum += edge;
    least = min(least, edge);
  }
  return sum - least;
}

// The longest way from a leaf to the root of either of the two trees.
Seconds to_root(const MemberGroups& groups, const Fabric& fabric) {
  const std::size_t nodes = groups.nodes.size();
  Seconds longest{};
  bool first = true;
  for (const bool second : {false, true}) {
    const auto place = [&](std::size_t i) { return second ? second_tree_node(i, nodes) : i; };
    std::vector<Seconds> edge(nodes);
    for (std::size_t i = 1; i < nodes; ++i) {
      edge[i] = between_nodes(groups, place(i), place(tree_parent(i, nodes)), fabric);
    }
    for (std::size_t i = 1; i < nodes; ++i) {
      Seconds way{};
      for (std::size_t at = i; at != 0; at = tree_parent(at, nodes)) {
        way += edge[at];
      }
      longest = first ? way : max(longest, way);
      first = false;
    }
  }
  return longest;
}

Seconds farthest_node(const MemberGroups& groups, const Fabric& fabric) {
  Seconds longest = groups.nodes.size() > 1 ? between_nodes(groups, 0, 1, fabric) : Seconds{};
  for (std::size_t i = 2; i < groups.nodes.size(); ++i) {
    longest = max(longest, between_nodes(groups, 0, i, fabric));
  }
  return longest;
}

// Of the messages of a send/recv the one with the longest way.
Seconds farthest_send(std::span<const DeviceId> members, const Fabric& fabric) {
  Seconds longest = excess_latency(members[0], members[1], fabric);
  for (std::size_t i = 1; i < sends_of(members); ++i) {
    longest = max(longest, excess_latency(members[i], members[(i + 1) % members.size()], fabric));
  }
  return longest;
}

}  // namespace

Seconds excess_latency(DeviceId from, DeviceId to, const Fabric& fabric) {
  const std::vector<LinkId> route = fabric.route(from, to);
  if (fabric.node_of(from) == fabric.node_of(to)) {
    const bool nvlink = std::any_of(route.begin(), route.end(),
                                    [&](LinkId link) { return fabric.link(link).kind == LinkKind::kNvLink; });
    return latency_of(route, fabric) - (nvlink ? kNvLinkPath : kPciePath);
  }
  Seconds more{};
  if (is_clos(fabric)) {
    const DeviceId last = DeviceId::from(fabric.devices() - 1);
    const DeviceId far{last.value - fabric.local_index(last)};
    more = max(Seconds{}, network_latency_of(fabric.route({0}, far), fabric) - network_latency_of(route, fabric));
  }
  return latency_of(route, fabric) + more - kNetworkPath;
}

Seconds path_excess(std::string_view algorithm, const CollectiveRequest& request, const MemberGroups& groups,
                    const Fabric& fabric, const std::vector<int>& order, int ring_hops) {
  const double passes = request.op == CollectiveOp::kAllReduce ? 2.0 : 1.0;
  const double nodes = static_cast<double>(groups.nodes.size());
  const double chain = static_cast<double>(groups.largest) - 1.0;
  if (algorithm == "p2p") {
    return request.op == CollectiveOp::kSendRecv ? farthest_send(request.members, fabric)
           : groups.nodes.size() > 1             ? farthest_node(groups, fabric)
                                                 : mean_inside(groups, fabric, order);
  }
  const Seconds inside = mean_inside(groups, fabric, order);
  if (algorithm == "ring") {
    return inside * (passes * (ring_hops - (nodes - 1.0))) + once_round(groups, fabric) * passes;
  }
  if (algorithm == "tree") {
    return (inside * chain + to_root(groups, fabric)) * 2.0;
  }
  if (algorithm == "nvls_tree") {
    return (inside + to_root(groups, fabric)) * 2.0;
  }
  if (algorithm == "collnet_chain") {
    return inside * (2.0 * chain) + farthest_node(groups, fabric);
  }
  if (algorithm == "pat") {
    Seconds sum{};
    for (std::size_t distance = 1; distance < groups.nodes.size(); distance *= 2) {
      sum += between_nodes(groups, 0, distance, fabric);
    }
    return sum;
  }
  // NVLS and CollNet direct: up to a switch and back.
  return inside * passes + farthest_node(groups, fabric);
}

Seconds window_time(const CollectivePlan& plan, const Fabric& fabric) {
  constexpr double kMebi = 1048576.0;
  const Bytes window{plan.protocol == "LL" ? 0.25 * kMebi : (plan.protocol == "LL128" ? 4.69 * kMebi : 4.0 * kMebi)};
  // How many flows leave one node for another share its channels.
  std::map<std::pair<int, int>, int> flows_between;
  for (const Flow& flow : plan.flows) {
    const int from = fabric.node_of(flow.from);
    const int to = fabric.node_of(flow.to);
    if (from != to) {
      ++flows_between[{from, to}];
    }
  }
  Seconds longest{};
  for (const Flow& flow : plan.flows) {
    const int from = fabric.node_of(flow.from);
    const int to = fabric.node_of(flow.to);
    if (from == to) {
      continue;
    }
    Seconds round_trip{};
    for (const LinkId link : flow.route) {
      round_trip += fabric.link(link).latency * 2.0;
    }
    // Sends to several nodes have channels of their own for each.
    const double channels =
        std::max(1.0, static_cast<double>(plan.channels) / static_cast<double>(flows_between.at({from, to})));
    longest = max(longest, round_trip * (flow.bytes / (window * channels)));
  }
  return longest;
}

}  // namespace trainyard
