// Folded Clos networks of one to three tiers. Rail-optimised: NIC i of every node of a unit goes to leaf i of the unit
// (NVIDIA DGX SuperPOD reference architecture). Classic: all NICs of a node go to the leaf of its rack.
#include <algorithm>
#include <cmath>

#include "topologies/generators/network.hpp"

namespace trainyard {
namespace {

enum class LeafPlan { kByRail, kByNode };

struct ClosReading {
  NetworkReading common;
  int nodes_per_unit = 0;
  int units_per_pod = 0;              // 0: one pod holds everything
  double oversubscription = 1.0;      // between leaf and spine
  double pod_oversubscription = 1.0;  // between spine and core
  int spines = 0;                     // of a pod, when they are told apart
  int cores = 0;
  bool peers_cross_rails = false;
};

ClosReading read_clos(const JsonReader& network) {
  network.expect_keys({"generator", "switch_latency", "routing", "seed", "nodes_per_unit", "units_per_pod",
                       "oversubscription", "pod_oversubscription", "spines", "cores", "peers_cross_rails", "source"});
  ClosReading out;
  out.common = read_network(network);
  out.nodes_per_unit = static_cast<int>(network.at("nodes_per_unit").integer(1, 1 << 20));
  if (const auto units = network.find("units_per_pod")) {
    out.units_per_pod = static_cast<int>(units->integer(1, 1 << 20));
  }
  if (const auto ratio = network.find("oversubscription")) {
    out.oversubscription = ratio->number(1.0, 1000.0);
  }
  if (const auto ratio = network.find("pod_oversubscription")) {
    out.pod_oversubscription = ratio->number(1.0, 1000.0);
  }
  const bool told_apart = out.common.policy == RoutingPolicy::kStaticRail || out.common.policy == RoutingPolicy::kEcmp;
  out.spines = told_apart ? static_cast<int>(network.at("spines").integer(1, 4096)) : 1;
  out.cores = told_apart && out.units_per_pod > 0 ? static_cast<int>(network.at("cores").integer(1, 4096)) : 1;
  if (const auto peers = network.find("peers_cross_rails")) {
    out.peers_cross_rails = peers->boolean();
  }
  return out;
}

struct Layer {
  std::vector<VertexId> switches;
  std::vector<BytesPerSecond> below;  // sum of the links down
  int multiplicity = 1;
};

// Joins `lower` to groups of `parents` switches; `group_of` maps a lower switch to its group.
template <class GroupOf>
std::pair<ClosTables::Tier, Layer> add_tier(const NetworkSite& site, const Layer& lower, GroupOf group_of, int parents,
                                            double oversubscription, Seconds latency, VertexKind kind) {
  ClosTables::Tier tier;
  tier.parents = parents;
  Layer upper;
  int groups = 0;
  for (std::size_t i = 0; i < lower.switches.size(); ++i) {
    groups = std::max(groups, group_of(i) + 1);
  }
  for (int s = 0; s < groups * parents; ++s) {
    upper.switches.push_back(site.add_switch(kind, s, 1));
  }
  upper.below.resize(upper.switches.size());
  for (std::size_t i = 0; i < lower.switches.size(); ++i) {
    const int first = group_of(i) * parents;
    const BytesPerSecond each = lower.below[i] / (oversubscription * parents);
    tier.first_parent.push_back(first);
    tier.first_up.push_back(static_cast<std::int32_t>(site.links->size()));
    for (int j = 0; j < parents; ++j) {
      const auto parent = static_cast<std::size_t>(first + j);
      site.add_link(lower.switches[i], upper.switches[parent], each, latency);
      upper.below[parent] += each;
    }
  }
  return {std::move(tier), std::move(upper)};
}

NetworkTables make_clos(const JsonReader& network, const NetworkSite& site, LeafPlan plan) {
  const ClosReading reading = read_clos(network);
  ClosTables clos;
  clos.policy = reading.common.policy;
  clos.seed = reading.common.seed;
  clos.cross_rail_by_peer = reading.peers_cross_rails;
  const int leaves_per_unit = plan == LeafPlan::kByRail ? site.rails : 1;
  const int units = (site.nodes + reading.nodes_per_unit - 1) / reading.nodes_per_unit;
  Layer leaves;
  for (int leaf = 0; leaf < units * leaves_per_unit; ++leaf) {
    leaves.switches.push_back(site.add_switch(VertexKind::kLeaf, leaf, 1));
  }
  // A unit's leaf is built for all nodes of the unit, whether they are in use or not.
  const int per_leaf = reading.nodes_per_unit * (plan == LeafPlan::kByRail ? 1 : site.rails);
  leaves.below.assign(leaves.switches.size(), site.port_bandwidth() * per_leaf);
  std::vector<std::int32_t> ports_used(leaves.switches.size());
  for (const NetworkSite::Port& port : site.ports) {
    const int unit = port.node / reading.nodes_per_unit;
    const int leaf = unit * leaves_per_unit + (plan == LeafPlan::kByRail ? port.rail : 0);
    clos.leaf_of_nic.push_back(leaf);
    clos.port_of_nic.push_back(ports_used[static_cast<std::size_t>(leaf)]++);
    clos.nic_up.push_back(site.add_link(port.nic, leaves.switches[static_cast<std::size_t>(leaf)], port.bandwidth,
                                        port.latency + reading.common.switch_latency));
  }
  if (leaves.switches.size() < 2) {
    return clos;
  }
  const int leaves_per_pod = reading.units_per_pod > 0 ? reading.units_per_pod * leaves_per_unit : 0;
  const auto pod_of_leaf = [&](std::size_t leaf) {
    return leaves_per_pod > 0 ? static_cast<int>(leaf) / leaves_per_pod : 0;
  };
  auto [spine_tier, spines] = add_tier(site, leaves, pod_of_leaf, reading.spines, reading.oversubscription,
                                       reading.common.switch_latency, VertexKind::kSpine);
  clos.tiers.push_back(std::move(spine_tier));
  if (static_cast<int>(spines.switches.size()) > reading.spines) {
    // Spine s of every pod meets in core group s.
    const auto core_group = [&](std::size_t spine) { return static_cast<int>(spine) % reading.spines; };
    auto [core_tier, cores] = add_tier(site, spines, core_group, reading.cores, reading.pod_oversubscription,
                                       reading.common.switch_latency, VertexKind::kCore);
    clos.tiers.push_back(std::move(core_tier));
  }
  return clos;
}

}  // namespace

NetworkTables make_rail_fat_tree(const JsonReader& network, const NetworkSite& site) {
  return make_clos(network, site, LeafPlan::kByRail);
}

NetworkTables make_fat_tree(const JsonReader& network, const NetworkSite& site) {
  return make_clos(network, site, LeafPlan::kByNode);
}

NetworkTables make_single_switch(const JsonReader& network, const NetworkSite& site) {
  network.expect_keys({"generator", "switch_latency", "source"});
  const Seconds latency = network.at("switch_latency").seconds();
  ClosTables clos;
  const VertexId hub = site.add_switch(VertexKind::kLeaf, 0, 1);
  for (const NetworkSite::Port& port : site.ports) {
    clos.leaf_of_nic.push_back(0);
    clos.nic_up.push_back(site.add_link(port.nic, hub, port.bandwidth, port.latency + latency));
  }
  return clos;
}

}  // namespace trainyard
