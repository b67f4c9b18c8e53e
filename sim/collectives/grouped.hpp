#pragma once
// Calls of one communicator between ncclGroupStart and ncclGroupEnd: they are launched as one kernel and share its
// channels. Source: NCCL 2.30 src/enqueue.cc, ncclPrepareTasks and scheduleCollTasksToPlan.
//
// - Sends and receives, and what is built from them, become one exchange.
// - Collectives of one operation are sorted by size; those below four times the smallest of their run count as one
//   call of the summed size, for which algorithm and protocol are chosen.
// - Channels are divided by traffic, so that all parts end together: the group takes the longest latency and the sum
//   of the transfers.
#include <span>
#include <vector>

#include "sim/collectives/base/collective.hpp"

namespace trainyard {

struct GroupedPlan {
  std::vector<CollectivePlan> plans;  // start together; run them as concurrent collectives
  std::vector<int> calls;             // that each plan stands for
};

// Collectives have the same members; sends go between any two of them.
GroupedPlan plan_group(std::span<const CollectiveRequest> calls, const ClusterSpec& cluster, const Fabric& fabric,
                       const CollectiveOptions& options = {});

// From the common start to the end of the last part on an idle fabric.
Seconds group_time(const GroupedPlan& group, const Fabric& fabric);

}  // namespace trainyard
