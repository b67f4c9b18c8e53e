#pragma once
// How many channels of what speed NCCL's graph search finds for a group (from topology to channels).
#include <vector>

#include "sim/collectives/base/member_groups.hpp"
#include "sim/collectives/base/profile.hpp"
#include "topologies/cluster.hpp"

namespace trainyard {

// Speeds per channel in GB/s as the tuner counts them.
struct ChannelGraph {
  int channels = 0;  // 0: the pattern does not fit this hardware
  double intra = 0.0;
  double inter = 0.0;
  double bandwidth() const { return channels * intra; }
};

struct ChannelGraphs {
  ChannelGraph ring;
  ChannelGraph tree;  // over several nodes its chains inside a node may be faster than the network
  ChannelGraph nvls;
  int ring_executed = 0;  // channels (thread blocks) that run, after NCCL doubles the graph's
  bool nvlink = false;    // members of a node are joined by NVLink
  int ring_hops = 0;      // of one pass when rings are not one cycle through all members (torus); 0: members - 1
  // Rings through the members of a node, as positions in MemberNode::members; one when every order is as good.
  std::vector<std::vector<int>> orders;
};

ChannelGraphs search_channels(const MemberGroups& groups, const ClusterSpec& cluster, const Fabric& fabric,
                              const CollectiveProfile& profile);

}  // namespace trainyard
