#pragma once
// What is known of a cluster beside its fabric.
#include <string>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "sim/base/name_table.hpp"
#include "sim/base/quantity.hpp"

namespace trainyard {

// What joins the GPUs of a node.
enum class ScaleUp { kNone, kPcie, kMesh, kSwitch, kTorus };
inline constexpr NameTable<ScaleUp, 5> kScaleUpNames{{{{"none", ScaleUp::kNone},
                                                       {"pcie", ScaleUp::kPcie},
                                                       {"mesh", ScaleUp::kMesh},
                                                       {"switch", ScaleUp::kSwitch},
                                                       {"torus", ScaleUp::kTorus}}}};

// The node as a collective library sees it: nominal rates, per direction.
struct NodeTraits {
  ScaleUp scale_up = ScaleUp::kNone;
  int scale_up_links = 0;  // of one GPU
  BytesPerSecond scale_up_link_bandwidth{};
  BytesPerSecond scale_up_link_payload{};       // what of it data can use
  BytesPerSecond pcie_bandwidth{};              // of one GPU's slot
  BytesPerSecond cpu_interconnect_bandwidth{};  // between sockets; zero with one socket
  int nics = 0;
  BytesPerSecond nic_bandwidth{};
  BytesPerSecond host_link{};       // of data between a GPU and its host's memory; zero: the node has no host
  Bytes host_memory{};              // of all sockets of the node; zero: not stated
  BytesPerSecond host_bandwidth{};  // nominal, of all memory channels of the node; zero: not stated
  int host_cores = 0;               // of all sockets of the node; zero: not stated
};

struct ClusterSpec {
  std::string name;
  std::string gpu;                     // catalogue name of the GPU
  int gpus_per_node = 8;               // of the node's slots, those in use
  std::string cpu_vendor;              // intel, amd, arm: NCCL's tuner asks
  std::string collective_profile;      // entry of sim/collectives/profiles: what the library knows of this hardware
  std::string collective_calibration;  // entry of sim/collectives/calibration; empty: the library's own model
  std::vector<std::string> network_protocols;  // those the network's plugin allows between nodes; empty: all
  bool network_reduction = false;              // the network's switches reduce (SHARP)
  NodeTraits node;
  Json document;  // the whole entry: generators read their own keys from it
  // Where the document stands, for faults that are found in it later: the file, and the pointer to it there.
  std::string file;
  std::string pointer;
  // Of a cluster with "node_groups": one for every group, in order, as the cluster would be if all its nodes were of
  // that kind. Empty where all nodes are alike. What the cluster itself says of GPU and node is that of the first
  // group.
  std::vector<ClusterSpec> kinds;
  int nodes_of_kind = 0;  // of such a group: how many nodes come before the next group's; the last has no end

  // The document where it stands. Refers to this.
  JsonReader reader() const { return JsonReader(document, file, pointer); }
  // The cluster as a library on this node sees it.
  const ClusterSpec& kind_of_node(int node_number) const;
  // Catalogue names of its different GPUs, in the order of the nodes.
  std::vector<std::string> different_gpus() const;
};

}  // namespace trainyard
