// Networks of groups: dragonfly+ and sites joined by wide-area links, and rail-only networks without any spine.
#include <algorithm>

#include "sim/base/error.hpp"
#include "topologies/generators/network.hpp"

namespace trainyard {
namespace {

struct GroupReading {
  Seconds switch_latency{};
  int nodes_per_leaf = 1;
  int leaves_per_group = 1;
  double oversubscription = 1.0;
};

// Leaves and one spine layer for each group; NICs of a node share a leaf.
struct BuiltGroups {
  GroupTables tables;
  std::vector<VertexId> spines;
  std::vector<BytesPerSecond> capacity;  // of all leaves of the group towards their spine
};

BuiltGroups build_groups(const NetworkSite& site, const GroupReading& reading) {
  BuiltGroups out;
  const int leaves = (site.nodes + reading.nodes_per_leaf - 1) / reading.nodes_per_leaf;
  const int groups = (leaves + reading.leaves_per_group - 1) / reading.leaves_per_group;
  out.tables.groups = groups;
  std::vector<VertexId> leaf(static_cast<std::size_t>(leaves));
  for (int l = 0; l < leaves; ++l) {
    leaf[static_cast<std::size_t>(l)] = site.add_switch(VertexKind::kLeaf, l, 1);
    out.tables.group_of_leaf.push_back(l / reading.leaves_per_group);
  }
  for (int g = 0; g < groups; ++g) {
    out.spines.push_back(site.add_switch(VertexKind::kSpine, g, 1));
  }
  for (const NetworkSite::Port& port : site.ports) {
    const int l = port.node / reading.nodes_per_leaf;
    out.tables.leaf_of_nic.push_back(l);
    out.tables.nic_up.push_back(site.add_link(port.nic, leaf[static_cast<std::size_t>(l)], port.bandwidth,
                                              port.latency + reading.switch_latency));
  }
  // A leaf is built for all its nodes, in use or not.
  const BytesPerSecond up = site.port_bandwidth() * (reading.nodes_per_leaf * site.rails) / reading.oversubscription;
  out.capacity.assign(static_cast<std::size_t>(groups), up * reading.leaves_per_group);
  for (int l = 0; l < leaves; ++l) {
    const auto g = static_cast<std::size_t>(l / reading.leaves_per_group);
    out.tables.leaf_up.push_back(
        site.add_link(leaf[static_cast<std::size_t>(l)], out.spines[g], up, reading.switch_latency));
  }
  out.tables.between.assign(static_cast<std::size_t>(groups * groups), -1);
  return out;
}

void join(BuiltGroups& built, const NetworkSite& site, int a, int b, BytesPerSecond bandwidth, Seconds latency) {
  const std::int32_t link = site.add_link(built.spines[static_cast<std::size_t>(a)],
                                          built.spines[static_cast<std::size_t>(b)], bandwidth, latency);
  built.tables.between[static_cast<std::size_t>(a * built.tables.groups + b)] = link;
  built.tables.between[static_cast<std::size_t>(b * built.tables.groups + a)] = link + 1;
}

}  // namespace

// Dragonfly+ (Shpiner et al. 2017): leaf-spine groups, every pair of groups joined directly. The global links of a
// group carry its leaves' capacity over `global_oversubscription`, divided evenly among the other groups of the
// machine.
NetworkTables make_dragonfly_plus(const JsonReader& network, const NetworkSite& site) {
  network.expect_keys({"generator", "switch_latency", "nodes_per_leaf", "leaves_per_group", "oversubscription",
                       "global_oversubscription", "groups", "global_latency", "source"});
  GroupReading reading{.switch_latency = network.at("switch_latency").seconds(),
                       .nodes_per_leaf = static_cast<int>(network.at("nodes_per_leaf").integer(1, 1 << 20)),
                       .leaves_per_group = static_cast<int>(network.at("leaves_per_group").integer(1, 1 << 20))};
  if (const auto ratio = network.find("oversubscription")) {
    reading.oversubscription = ratio->number(1.0, 1000.0);
  }
  const double taper =
      network.has("global_oversubscription") ? network.at("global_oversubscription").number(1.0, 1000.0) : 1.0;
  const int machine_groups = static_cast<int>(network.at("groups").integer(1, 4096));
  BuiltGroups built = build_groups(site, reading);
  if (built.tables.groups > machine_groups) {
    network.at("groups").fail("the machine has fewer groups than the job needs", "more groups or fewer GPUs");
  }
  for (int a = 0; a < built.tables.groups; ++a) {
    for (int b = a + 1; b < built.tables.groups; ++b) {
      join(built, site, a, b, built.capacity[static_cast<std::size_t>(a)] / (taper * std::max(1, machine_groups - 1)),
           network.at("global_latency").seconds());
    }
  }
  return std::move(built.tables);
}

// Sites of equal size, each a leaf-spine network, every pair joined by one wide-area link.
NetworkTables make_wan_sites(const JsonReader& network, const NetworkSite& site) {
  network.expect_keys({"generator", "switch_latency", "nodes_per_leaf", "sites", "wan", "source"});
  const int sites = static_cast<int>(network.at("sites").integer(1, 64));
  GroupReading reading{.switch_latency = network.at("switch_latency").seconds(),
                       .nodes_per_leaf = static_cast<int>(network.at("nodes_per_leaf").integer(1, 1 << 20))};
  const int leaves = (site.nodes + reading.nodes_per_leaf - 1) / reading.nodes_per_leaf;
  reading.leaves_per_group = std::max(1, (leaves + sites - 1) / sites);
  BuiltGroups built = build_groups(site, reading);
  const JsonReader wan = network.at("wan");
  wan.expect_keys({"bandwidth", "latency", "source"});
  for (int a = 0; a < built.tables.groups; ++a) {
    for (int b = a + 1; b < built.tables.groups; ++b) {
      join(built, site, a, b, wan.at("bandwidth").bytes_per_second(), wan.at("latency").seconds());
    }
  }
  return std::move(built.tables);
}

// Every rail is a network of its own; what must change rails does so over NVLink inside a node (Wang et al. 2023,
// "Rail-only: a low-cost high-performance network for training LLMs").
NetworkTables make_rail_only(const JsonReader& network, const NetworkSite& site) {
  network.expect_keys({"generator", "switch_latency", "source"});
  const Seconds latency = network.at("switch_latency").seconds();
  ClosTables clos;
  clos.cross_rail_by_peer = true;
  std::vector<VertexId> rail;
  for (int r = 0; r < site.rails; ++r) {
    rail.push_back(site.add_switch(VertexKind::kLeaf, r, 1));
  }
  for (const NetworkSite::Port& port : site.ports) {
    clos.leaf_of_nic.push_back(port.rail);
    clos.nic_up.push_back(
        site.add_link(port.nic, rail[static_cast<std::size_t>(port.rail)], port.bandwidth, port.latency + latency));
  }
  return clos;
}

}  // namespace trainyard
