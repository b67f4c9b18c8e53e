#pragma once
// One node of a cluster: what a node generator returns. A new generator is one file and one row of kNodeGenerators.
#include <array>
#include <string_view>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "topologies/fabric/cluster_spec.hpp"
#include "topologies/fabric/fabric.hpp"
#include "topologies/fabric/routing.hpp"

namespace trainyard {

// Links between vertices of the node; vertex numbers count from the node's first vertex.
struct NodeShape {
  std::vector<Vertex> vertices;  // indices within kind are set, node is set when the node is placed
  std::vector<Link> links;       // both directions, one after the other
  std::vector<int> devices;      // vertices that are GPUs, in local order
  std::vector<int> nics;
  std::vector<BytesPerSecond> nic_rates;  // nominal, of every NIC that differs from the node's; zero: it does not
  NodeTraits traits;

  int add_vertex(VertexKind kind, int multiplicity = 1);
  void add_link(int a, int b, LinkKind kind, BytesPerSecond bandwidth, Seconds latency);
};

struct LinkReading {
  BytesPerSecond nominal{};  // of the whole bundle
  BytesPerSecond payload{};  // nominal times efficiency
  Seconds latency{};
  int links = 1;
};

// Reads {"bandwidth", "efficiency", "latency"} and optionally "links": bandwidth is of one link of the bundle.
LinkReading read_link(const JsonReader& json);

// Shortest paths inside the node. NVLink goes before PCIe, PCIe before the link between sockets; GPUs forward only to
// other GPUs.
NodePaths node_paths(const NodeShape& shape);

// Adds CPU sockets, PCIe switches and NICs as the keys "pcie", "chip_to_chip", "cpus" and "nics" say; shared by several
// generators.
void add_host(NodeShape& shape, const JsonReader& node);

// What the key "host" says of the node's memory, and how fast a GPU reaches it.
void describe_host(NodeShape& shape, const JsonReader& node);

NodeShape make_nvswitch_node(const JsonReader& node);
NodeShape make_mesh_node(const JsonReader& node);
NodeShape make_pcie_node(const JsonReader& node);
NodeShape make_explicit_node(const JsonReader& node);

// Whether every GPU has a path to every other GPU of the node and, where it has NICs, to one of them.
bool reaches_all_devices(const NodeShape& shape);

struct NodeGenerator {
  std::string_view name;
  std::string_view description;
  NodeShape (*make)(const JsonReader& node);
};
inline constexpr std::array<NodeGenerator, 4> kNodeGenerators{{
    {"nvswitch-node", "node: every GPU on every NVSwitch, PCIe and NICs beside (DGX A100 and later, NVL72)",
     make_nvswitch_node},
    {"mesh-node", "node: GPUs joined pair by pair, NVLink cube mesh or xGMI (DGX-1, MI300X)", make_mesh_node},
    {"pcie-node", "node: GPUs on PCIe switches under one or two sockets, no NVLink", make_pcie_node},
    {"explicit-node", "node: listed vertex by vertex and link by link, as importers write it", make_explicit_node},
}};

// Finds the generator that the key "generator" names and runs it.
NodeShape make_node(const JsonReader& node);

}  // namespace trainyard
