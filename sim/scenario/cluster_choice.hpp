#pragma once
// Which cluster is asked for: of the catalogue, of a file, or a machine whose topology the user has dumped.
#include <string>

#include "topologies/cluster.hpp"

namespace trainyard {

struct ClusterChoice {
  std::string cluster;  // catalogue name, cluster JSON, `nvidia-smi topo -m` text or an NCCL topology file
  std::string like;     // catalogue name or cluster JSON: what a topology leaves out is this cluster's
  std::string gpu;      // catalogue name; empty: that of `like`
  // Where the cluster was given, for errors.
  std::string file = "--cluster";
  std::string pointer;
  bool imports = false;  // `cluster` is the file of a topology and nothing else
};

// Throws UserError; a topology without `like` and a cluster with it are faults.
ClusterSpec choose_cluster(const ClusterChoice& choice);

}  // namespace trainyard
