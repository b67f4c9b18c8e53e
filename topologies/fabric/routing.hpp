#pragma once
// Routing tables that generators fill and Fabric reads: a route costs its own length, never a search.
#include <cstdint>
#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "sim/base/id.hpp"
#include "sim/base/name_table.hpp"

namespace trainyard {

// How traffic between two leaf switches chooses among equal paths.
enum class RoutingPolicy {
  kStaticRail,  // by destination, as InfiniBand's subnet manager assigns it: port on its leaf modulo number of parents
  kEcmp,        // by a seeded hash of source and destination: unlucky pairs collide
  kAdaptive,    // spread evenly over all parents, which then act as one switch
  kShortestPath,  // one fewest-hop path, lowest link id first
};
inline constexpr NameTable<RoutingPolicy, 4> kRoutingPolicyNames{{{{"static-rail", RoutingPolicy::kStaticRail},
                                                                   {"ecmp", RoutingPolicy::kEcmp},
                                                                   {"adaptive", RoutingPolicy::kAdaptive},
                                                                   {"shortest-path", RoutingPolicy::kShortestPath}}}};

// Which way data passes between a device and the memory of its host.
enum class HostWay { kToHost, kFromHost };

// Several lists in one allocation.
class PathTable {
 public:
  void add(std::span<const std::int32_t> path);
  std::span<const std::int32_t> operator[](std::size_t i) const;
  std::size_t size() const { return begin_.size() - 1; }

 private:
  std::vector<std::int32_t> begin_{0};
  std::vector<std::int32_t> items_;
};

// Paths inside one kind of node, as offsets from the node's first link; nodes of the same kind share it.
struct NodePaths {
  int devices = 0;
  int nics = 0;
  std::vector<std::int32_t> nic_of_device;  // the NIC a device uses by default (its rail), -1 without NICs
  PathTable device_to_device;               // [from * devices + to]
  PathTable device_to_nic;                  // [device * nics + nic]
  PathTable nic_to_device;                  // [nic * devices + device]
  PathTable device_to_host;                 // [device], to the nearest socket; empty paths without one
  PathTable host_to_device;
  // Whether data may first hop to the peer that owns the destination's rail (NCCL's PXN): all pairs joined by NVLink.
  bool peers_joined = false;
};

// A folded Clos of any number of tiers. Parents of a switch are consecutive switches of the next tier; the link up to
// parent j is first_up + 2 j and the link down from it first_up + 2 j + 1.
struct ClosTables {
  struct Tier {
    std::vector<std::int32_t> first_up;
    std::vector<std::int32_t> first_parent;
    std::int32_t parents = 0;
  };
  RoutingPolicy policy = RoutingPolicy::kAdaptive;
  std::uint64_t seed = 0;
  std::vector<std::int32_t> leaf_of_nic;
  std::vector<std::int32_t> port_of_nic;  // its number on its leaf
  std::vector<std::int32_t> nic_up;       // the link down is the next one
  std::vector<Tier> tiers;
  bool cross_rail_by_peer = false;  // different rails meet inside the node (rail-only, or PXN)
};

// Groups of nodes (dragonfly groups, WAN sites), each behind one switch layer, every pair of groups joined directly.
struct GroupTables {
  std::vector<std::int32_t> leaf_of_nic;
  std::vector<std::int32_t> nic_up;
  std::vector<std::int32_t> group_of_leaf;
  std::vector<std::int32_t> leaf_up;  // leaf to its group's spine; down is the next one
  std::vector<std::int32_t> between;  // [group * groups + group]: link from one group's spine to the other's
  std::int32_t groups = 0;
};

// Clusters of nodes: paths in the node, then the network between NICs.
struct NodeRouting {
  struct Node {
    std::int32_t paths = 0;  // index into shapes
    std::int32_t first_device = 0;
    std::int32_t first_nic = 0;
    std::int32_t first_link = 0;
  };
  std::vector<NodePaths> shapes;
  std::vector<Node> nodes;
  std::vector<std::int32_t> node_of_device;
  std::variant<std::monostate, ClosTables, GroupTables> network;
};

// A torus of devices: dimension by dimension, the short way round (ties: upwards).
struct TorusRouting {
  std::vector<std::int32_t> dimensions;
  // Link of a device upwards in dimension d is [device * 2 * dimensions + 2 d], downwards the next one.
  std::vector<std::int32_t> links;
};

// Any graph: the next link on the way to each device, from every vertex.
struct ShortestPathRouting {
  std::vector<std::int32_t> device_vertex;
  std::vector<std::int32_t> next_link;  // [device * vertices + vertex], -1 at the device itself
  std::vector<std::int32_t> link_target;
  std::size_t vertices = 0;
};

using Routing = std::variant<ShortestPathRouting, NodeRouting, TorusRouting>;

std::vector<LinkId> find_route(const NodeRouting& routing, std::size_t from, std::size_t to);
std::vector<LinkId> find_host_route(const NodeRouting& routing, std::size_t device, HostWay way);
std::vector<LinkId> find_route(const TorusRouting& routing, std::size_t from, std::size_t to);
std::vector<LinkId> find_route(const ShortestPathRouting& routing, std::size_t from, std::size_t to);

}  // namespace trainyard
