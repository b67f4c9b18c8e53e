#pragma once
// The time of send/recv and of what is built from it: all-to-all, all-to-all-v, gather, scatter. NCCL has no tuner
// model for these: a latency, and the slowest of the ways out of and into a member: NVLink to its node's members, its
// NIC.
#include <span>

#include "sim/collectives/collective.hpp"
#include "sim/collectives/member_groups.hpp"
#include "sim/collectives/profile.hpp"

namespace trainyard {

constexpr bool is_point_to_point(CollectiveOp op) {
  return op == CollectiveOp::kSendRecv || op == CollectiveOp::kAllToAll || op == CollectiveOp::kAllToAllV ||
         op == CollectiveOp::kGather || op == CollectiveOp::kScatter;
}

CollectiveEstimate estimate_point_to_point(const CollectiveRequest& request, const MemberGroups& groups,
                                           const ClusterSpec& cluster, const Fabric& fabric,
                                           const CollectiveProfile& profile, const CollectiveOptions& options);

// The member of `from`'s node that sends its data for `to`, in another node: the one that owns the rail of `to` when
// the members of a node are joined by NVLink (NCCL's PXN), otherwise `from` itself.
DeviceId rail_owner(DeviceId from, DeviceId to, const MemberNode& node, const Fabric& fabric);

}  // namespace trainyard
