#pragma once
// The fabric of a cluster as a directed graph: devices, switches, NICs, and one edge per direction of every link.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/id.hpp"
#include "sim/base/name_table.hpp"
#include "sim/base/quantity.hpp"
#include "topologies/fabric/routing.hpp"

namespace trainyard {

enum class VertexKind { kGpu, kNvSwitch, kPcieSwitch, kCpu, kNic, kLeaf, kSpine, kCore };
inline constexpr NameTable<VertexKind, 8> kVertexKindNames{{{{"gpu", VertexKind::kGpu},
                                                             {"nvswitch", VertexKind::kNvSwitch},
                                                             {"pcie-switch", VertexKind::kPcieSwitch},
                                                             {"cpu", VertexKind::kCpu},
                                                             {"nic", VertexKind::kNic},
                                                             {"leaf", VertexKind::kLeaf},
                                                             {"spine", VertexKind::kSpine},
                                                             {"core", VertexKind::kCore}}}};
enum class LinkKind { kNvLink, kPcie, kChipToChip, kCpuInterconnect, kNetwork };
inline constexpr NameTable<LinkKind, 5> kLinkKindNames{{{{"nvlink", LinkKind::kNvLink},
                                                         {"pcie", LinkKind::kPcie},
                                                         {"chip-to-chip", LinkKind::kChipToChip},
                                                         {"cpu-interconnect", LinkKind::kCpuInterconnect},
                                                         {"network", LinkKind::kNetwork}}}};

struct Vertex {
  VertexKind kind = VertexKind::kGpu;
  int node = -1;         // -1 for switches between nodes
  int index = 0;         // within its node and kind (GPU 0..7, NIC 0..7) or among its kind
  int multiplicity = 1;  // how many physical switches a vertex stands for when traffic is spread evenly over them
};

struct Link {
  VertexId from;
  VertexId to;
  LinkKind kind = LinkKind::kNvLink;
  BytesPerSecond bandwidth{};  // of this direction, as payload can use it
  Seconds latency{};
};

// Immutable after construction by a generator or an importer. Devices are numbered node by node.
class Fabric {
 public:
  // Links are numbered in the order given; routes are shortest paths. Throws UserError, with the file that describes
  // the fabric or else its name, when the devices are not connected.
  Fabric(std::string name, std::vector<Vertex> vertices, std::vector<Link> links, const std::string& file = {});
  // The first `devices` GPUs take part; routes follow the generator's tables.
  Fabric(std::string name, std::vector<Vertex> vertices, std::vector<Link> links, Routing routing, std::size_t devices,
         const std::string& file = {});

  const std::string& name() const { return name_; }
  std::size_t devices() const { return devices_.size(); }
  VertexId vertex_of(DeviceId device) const { return devices_[device.index()]; }
  int node_of(DeviceId device) const { return vertex(vertex_of(device)).node; }
  // Position of the device among the GPUs of its node.
  int local_index(DeviceId device) const { return vertex(vertex_of(device)).index; }
  // The NIC of its node that the device uses by default; -1 without NICs.
  int rail_of(DeviceId device) const;
  const Vertex& vertex(VertexId id) const { return vertices_[id.index()]; }
  std::span<const Vertex> vertices() const { return vertices_; }
  const Link& link(LinkId id) const { return links_[id.index()]; }
  std::span<const Link> links() const { return links_; }
  const Routing& routing() const { return routing_; }

  // Links from one device to another in order, by the routing of the fabric; empty when they are the same device.
  std::vector<LinkId> route(DeviceId from, DeviceId to) const;
  // Links between a device and the memory of its own socket; empty where the fabric describes no host.
  std::vector<LinkId> host_route(DeviceId device, HostWay way) const;

 private:
  void check_connected(const std::string& place) const;

  std::string name_;
  std::vector<Vertex> vertices_;
  std::vector<Link> links_;
  std::vector<VertexId> devices_;
  Routing routing_;
};

// "gpu 3 of node 12", "leaf 4"
std::string vertex_name(const Vertex& vertex);

}  // namespace trainyard
