#pragma once
// The time of send/recv and of what is built from it: all-to-all, all-to-all-v, gather, scatter. NCCL has no tuner
// model for these: a latency, and the slowest of the ways out of and into a member: NVLink to its node's members, its
// NIC.
#include <span>

#include "sim/collectives/base/collective.hpp"
#include "sim/collectives/base/member_groups.hpp"
#include "sim/collectives/base/profile.hpp"

namespace trainyard {

constexpr bool is_point_to_point(CollectiveOp op) {
  return op == CollectiveOp::kSendRecv || op == CollectiveOp::kAllToAll || op == CollectiveOp::kAllToAllV ||
         op == CollectiveOp::kGather || op == CollectiveOp::kScatter;
}

// How many messages a send/recv is: one from the first of two members to the second; of more members one from each to
// the next, around, all at once (nccl-tests' sendrecv).
constexpr std::size_t sends_of(std::span<const DeviceId> members) {
  return members.size() == 2 ? 1 : members.size();
}

CollectiveEstimate estimate_point_to_point(const CollectiveRequest& request, const MemberGroups& groups,
                                           const ClusterSpec& cluster, const Fabric& fabric,
                                           const CollectiveProfile& profile, const CollectiveOptions& options);

// The member of `from`'s node that sends its data for `to`, in another node: the one that owns the rail of `to` when
// the members of a node are joined by NVLink (NCCL's PXN), otherwise `from` itself.
DeviceId rail_owner(DeviceId from, DeviceId to, const MemberNode& node, const Fabric& fabric);

}  // namespace trainyard
