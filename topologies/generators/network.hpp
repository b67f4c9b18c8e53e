#pragma once
// The network between nodes: what a network generator returns. A new generator is one file and one row of
// kNetworkGenerators.
#include <array>
#include <string_view>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "topologies/fabric/fabric.hpp"
#include "topologies/fabric/routing.hpp"

namespace trainyard {

// The NICs that the network joins, and the vertices and links built so far, to which the generator appends.
struct NetworkSite {
  struct Port {
    VertexId nic;
    int node = 0;
    int rail = 0;                // index of the NIC within its node
    BytesPerSecond bandwidth{};  // payload
    Seconds latency{};
  };
  std::vector<Port> ports;
  int nodes = 0;
  int rails = 0;  // NICs of the largest node
  // What a switch expects of a port: the fastest of the first node.
  BytesPerSecond port_bandwidth() const;
  std::vector<Vertex>* vertices = nullptr;
  std::vector<Link>* links = nullptr;

  VertexId add_switch(VertexKind kind, int index, int multiplicity) const;
  // Returns the link from a to b; the one back follows it.
  std::int32_t add_link(VertexId a, VertexId b, BytesPerSecond bandwidth, Seconds latency) const;
};

using NetworkTables = std::variant<std::monostate, ClosTables, GroupTables>;

// Keys that every network takes.
struct NetworkReading {
  Seconds switch_latency{};
  RoutingPolicy policy = RoutingPolicy::kAdaptive;
  std::uint64_t seed = 0;
};
NetworkReading read_network(const JsonReader& network);

NetworkTables make_rail_fat_tree(const JsonReader& network, const NetworkSite& site);
NetworkTables make_fat_tree(const JsonReader& network, const NetworkSite& site);
NetworkTables make_dragonfly_plus(const JsonReader& network, const NetworkSite& site);
NetworkTables make_wan_sites(const JsonReader& network, const NetworkSite& site);
NetworkTables make_rail_only(const JsonReader& network, const NetworkSite& site);
NetworkTables make_single_switch(const JsonReader& network, const NetworkSite& site);

struct NetworkGenerator {
  std::string_view name;
  std::string_view description;
  NetworkTables (*make)(const JsonReader& network, const NetworkSite& site);
};
inline constexpr std::array<NetworkGenerator, 6> kNetworkGenerators{{
    {"rail-fat-tree",
     "network: NIC i of every node of a unit on leaf i, spines and cores above; by rail, ECMP or adaptive",
     make_rail_fat_tree},
    {"fat-tree", "network: all NICs of a node on its rack's leaf, spines and cores above; may be oversubscribed",
     make_fat_tree},
    {"single-switch", "network: every NIC on one switch", make_single_switch},
    {"rail-only", "network: one switch for each rail and none above; rails meet inside the nodes", make_rail_only},
    {"dragonfly-plus", "network: groups of leaves and spines, every two groups joined directly", make_dragonfly_plus},
    {"wan-sites", "network: sites with leaves and a spine each, joined by long-distance links", make_wan_sites},
}};

NetworkTables make_network(const JsonReader& network, const NetworkSite& site);

}  // namespace trainyard
