#pragma once
// Builds the JSON of an explicit node, vertex by vertex; shared by the importers.
#include <string>

#include "sim/base/quantity.hpp"
#include "topologies/cluster.hpp"

namespace trainyard {

class NodeDocument {
 public:
  int add_vertex(VertexKind kind);
  void add_link(int a, int b, LinkKind kind, BytesPerSecond bandwidth, Seconds latency);
  // The entry of a cluster of such nodes: everything beyond the node is that of `like`.
  ClusterSpec finish(const std::string& name, const ClusterSpec& like, const NodeTraits& traits) const;

 private:
  Json vertices_ = Json::array();
  Json links_ = Json::array();
};

// Rates that `like`'s node states, or those of a slow slot where it has none.
struct LikeRates {
  BytesPerSecond nvlink{};  // payload of one link
  BytesPerSecond pcie{};
  BytesPerSecond between_sockets{};
  BytesPerSecond nic{};
  Seconds nvlink_latency{};
  Seconds pcie_latency{};
};
LikeRates rates_of(const ClusterSpec& like);

}  // namespace trainyard
