#pragma once
// Where the ranks of a measured collective sit on a cluster.
#include <string>
#include <vector>

#include "sim/base/id.hpp"
#include "topologies/cluster.hpp"
#include "validation/tables/measured_collective.hpp"

namespace trainyard {

// Why these ranks have no place on the cluster, in words; empty: they have one. Never throws for what a row can say.
std::string why_no_place(const CollectiveMeasurement& row, const ClusterSpec& cluster);

struct CollectivePlaces {
  int gpus = 0;                   // of the smallest fabric that holds them
  std::vector<DeviceId> members;  // in the order of ranks
};

// The ranks spread evenly over the row's nodes, from the first GPU of each. Nodes are counted as hosts: where a node of
// the cluster is an NVLink domain of several hosts ("gpus_per_host"), as many share it as fit; a row that puts more
// ranks on a node than a host has GPUs, or says that its nodes have more, counts domains. Only for rows that
// have a place.
CollectivePlaces places_of(const CollectiveMeasurement& row, const ClusterSpec& cluster);

}  // namespace trainyard
