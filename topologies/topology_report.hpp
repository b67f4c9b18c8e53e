#pragma once
// What a fabric can do, for people: bisection and bottleneck cuts by maximum flow, diameter, oversubscription, paths.
#include <optional>
#include <string>

#include "sim/base/json_reader.hpp"
#include "topologies/cluster.hpp"
#include "topologies/fabric/fabric.hpp"

namespace trainyard {

// Most that can flow from one set of devices to another at once, and the links of a smallest cut between them
// (Boost.Graph, Boykov-Kolmogorov).
struct Cut {
  BytesPerSecond capacity{};
  std::vector<LinkId> links;
};
Cut minimum_cut(const Fabric& fabric, std::span<const DeviceId> from, std::span<const DeviceId> to);

// The first half of the devices against the second, in device order: what a job spread over the whole fabric sees.
Cut bisection(const Fabric& fabric);

// Links of the longest route between any two devices; pairs are taken between the devices of different kinds of places,
// that is all pairs up to 256 devices and beyond that all pairs with the first of each node.
std::size_t diameter(const Fabric& fabric);

struct PathReport {
  std::vector<std::string> vertices;
  BytesPerSecond narrowest{};
  Seconds latency{};
};
PathReport describe_path(const Fabric& fabric, DeviceId from, DeviceId to);

struct TopologyReport {
  std::string text;
  Json json;
};

// Counts of devices and switches, bisection per device, diameter, oversubscription, and one path if asked for.
// Throws UserError when a fabric of so many GPUs is too large to be built and cut.
void require_report_effort(int gpus);
TopologyReport report_topology(const ClusterSpec& cluster, const Fabric& fabric,
                               std::optional<std::pair<DeviceId, DeviceId>> path = std::nullopt);

}  // namespace trainyard
