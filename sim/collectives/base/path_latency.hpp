#pragma once
// What the paths of a fabric add to the library's latencies. The tuner's hop tables hold the whole cost of a hop on the
// hardware they were measured on: NVLink, PCIe, and an InfiniBand network with one switch between two NICs. A fabric
// whose links are slower to cross (a WAN, Ethernet, more switch tiers) takes longer by the difference of propagation,
// summed along the path that the first byte takes through the algorithm; one with faster links gets it back.
#include <vector>

#include "sim/collectives/base/collective.hpp"
#include "sim/collectives/base/member_groups.hpp"

namespace trainyard {

// Latency of a path beyond that of the hardware behind the tuner's tables; may be negative. In a folded Clos every path
// between nodes counts the tiers of the longest one in the job: a group does not become another one by lying on this or
// that side of a leaf, and the members that are far apart set the pace.
Seconds excess_latency(DeviceId from, DeviceId to, const Fabric& fabric);

// What the ways of an algorithm are made of; each algorithm sums up those of its critical path, without the time of
// sending (algorithms/table.hpp).
struct PathInput {
  const CollectiveRequest& request;
  const MemberGroups& groups;
  const Fabric& fabric;
  const std::vector<int>& order;  // a ring through the members of a node
  int ring_hops = 0;              // of one pass round the ring

  double passes() const { return request.op == CollectiveOp::kAllReduce ? 2.0 : 1.0; }
  double chain() const { return static_cast<double>(groups.largest) - 1.0; }  // hops through the fullest node
};

// Between the first members of two nodes; all rails are alike.
Seconds between_nodes(const PathInput& input, std::size_t a, std::size_t b);
// Mean over the hops of a ring through the fullest node.
Seconds mean_inside(const PathInput& input);
// Every edge of the cycle of nodes but the shortest: what the chunk with the longest way crosses in one pass.
Seconds once_round(const PathInput& input);
// The longest way from a leaf to the root of either of the two trees.
Seconds to_root(const PathInput& input);
// From the first node.
Seconds farthest_node(const PathInput& input);
// Of the messages of a send/recv the one with the longest way.
Seconds farthest_send(const PathInput& input);
// Up to a switch and back, in the node and in the network.
Seconds path_over_switch(const PathInput& input);

// A sender has at most the slots of its channels under way (NCCL 2.30 src/init.cc: 8 slots in 4 MiB with Simple,
// 512 KiB with LL of which half is data, 4.69 MiB with LL128), so that a flow moves at most a window per round trip.
// The least time in which all flows between nodes can end.
Seconds window_time(const CollectivePlan& plan, const Fabric& fabric);

}  // namespace trainyard
