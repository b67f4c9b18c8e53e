#pragma once
// Which algorithm a collective takes, and what it then does to the fabric.
#include <optional>
#include <vector>

#include "sim/collectives/base/collective.hpp"
#include "topologies/cluster.hpp"
#include "topologies/fabric/fabric.hpp"

namespace trainyard {

// Every candidate the tuner weighs, in table order; point-to-point operations have one.
std::vector<CollectiveEstimate> collective_candidates(const CollectiveRequest& request, const ClusterSpec& cluster,
                                                      const Fabric& fabric, const CollectiveOptions& options);
// The chosen one: smallest time, ties to the first. Throws UserError when the options force what does not exist.
CollectiveEstimate estimate_collective(const CollectiveRequest& request, const ClusterSpec& cluster,
                                       const Fabric& fabric, const CollectiveOptions& options);

// Chooses as NCCL would for this cluster and returns the plan. One member or zero bytes: an empty plan of zero latency.
CollectivePlan plan_collective(const CollectiveRequest& request, const ClusterSpec& cluster, const Fabric& fabric);
CollectivePlan plan_collective(const CollectiveRequest& request, const ClusterSpec& cluster, const Fabric& fabric,
                               const CollectiveOptions& options);

}  // namespace trainyard
