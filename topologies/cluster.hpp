#pragma once
// Cluster catalogue: one JSON file per cluster in topologies/clusters; a cluster has any number of nodes.
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "topologies/fabric/cluster_spec.hpp"
#include "topologies/fabric/fabric.hpp"

namespace trainyard {

inline constexpr int kMostGpus = 1'000'000;     // of a question about a cluster
inline constexpr int kMostInCluster = 1 << 20;  // of a cluster that its file describes

// A catalogue name, a path of a cluster JSON file, or an inline object. Throws UserError.
ClusterSpec load_cluster(std::string_view name_or_path, std::string_view file = "--cluster",
                         std::string_view pointer = "");
ClusterSpec read_cluster(const JsonReader& json, std::string_view name);
std::vector<std::string> cluster_names();

// A node of a job: which of the cluster's kinds of node it is, and how many of its GPUs take part.
struct NodeInUse {
  int kind = 0;  // index into "node_groups"; 0 where all nodes are alike
  int gpus = 0;
};
// The nodes of the first `gpus` devices, in order. Throws as build_fabric does.
std::vector<NodeInUse> nodes_in_use(const ClusterSpec& cluster, int gpus);

// The fabric of the first `gpus` devices: whole nodes, the last one possibly partly used. Throws UserError when the
// cluster cannot have that many.
Fabric build_fabric(const ClusterSpec& cluster, int gpus);

}  // namespace trainyard
