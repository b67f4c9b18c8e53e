#include "sim/collectives/base/path_latency.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <variant>

#include "sim/base/error.hpp"
#include "sim/collectives/base/double_tree.hpp"
#include "sim/collectives/base/sends.hpp"

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

}  // namespace

Seconds between_nodes(const PathInput& input, std::size_t a, std::size_t b) {
  const std::vector<MemberNode>& nodes = input.groups.nodes;
  return a == b ? Seconds{} : excess_latency(nodes[a].members.front(), nodes[b].members.front(), input.fabric);
}

Seconds mean_inside(const PathInput& input) {
  const MemberGroups& groups = input.groups;
  const auto fullest =
      std::max_element(groups.nodes.begin(), groups.nodes.end(),
                       [](const MemberNode& a, const MemberNode& b) { return a.members.size() < b.members.size(); });
  const std::vector<DeviceId>& members = fullest->members;
  const std::size_t local = members.size();
  if (local < 2) {
    return {};
  }
  Seconds sum{};
  const bool ordered = input.order.size() == local;
  const auto at = [&](std::size_t i) {
    return members[ordered ? static_cast<std::size_t>(input.order[i % local]) : i % local];
  };
  for (std::size_t i = 0; i < local; ++i) {
    sum += excess_latency(at(i), at(i + 1), input.fabric);
  }
  return sum / static_cast<double>(local);
}

Seconds once_round(const PathInput& input) {
  const std::size_t nodes = input.groups.nodes.size();
  if (nodes < 2) {
    return {};
  }
  Seconds sum{};
  Seconds least = between_nodes(input, nodes - 1, 0);
  for (std::size_t i = 0; i < nodes; ++i) {
    const Seconds edge = between_nodes(input, i, (i + 1) % nodes);
    sum += edge;
    least = min(least, edge);
  }
  return sum - least;
}

Seconds to_root(const PathInput& input) {
  const std::size_t nodes = input.groups.nodes.size();
  Seconds longest{};
  bool first = true;
  for (const bool second : {false, true}) {
    const auto place = [&](std::size_t i) { return second ? second_tree_node(i, nodes) : i; };
    std::vector<Seconds> edge(nodes);
    for (std::size_t i = 1; i < nodes; ++i) {
      edge[i] = between_nodes(input, place(i), place(tree_parent(i, nodes)));
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

Seconds farthest_node(const PathInput& input) {
  const std::size_t nodes = input.groups.nodes.size();
  Seconds longest = nodes > 1 ? between_nodes(input, 0, 1) : Seconds{};
  for (std::size_t i = 2; i < nodes; ++i) {
    longest = max(longest, between_nodes(input, 0, i));
  }
  return longest;
}

Seconds farthest_send(const PathInput& input) {
  const std::span<const DeviceId> members = input.request.members;
  Seconds longest = excess_latency(members[0], members[1], input.fabric);
  for (std::size_t i = 1; i < sends_of(members); ++i) {
    longest = max(longest, excess_latency(members[i], members[(i + 1) % members.size()], input.fabric));
  }
  return longest;
}

Seconds path_over_switch(const PathInput& input) {
  return mean_inside(input) * input.passes() + farthest_node(input);
}

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

Seconds window_time(const CollectivePlan& plan, const Fabric& fabric) {
  constexpr double kMebi = 1048576.0;
  constexpr std::array<double, 3> kWindows = {0.25, 4.69, 4.0};  // by protocol
  TY_ASSERT(plan.protocol.has_value());
  const Bytes window{kWindows.at(static_cast<std::size_t>(*plan.protocol)) * kMebi};
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
