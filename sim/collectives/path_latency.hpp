#pragma once
// What the paths of a fabric add to the library's latencies. The tuner's hop tables hold the whole cost of a hop on the
// hardware they were measured on: NVLink, PCIe, and an InfiniBand network with one switch between two NICs. A fabric
// whose links are slower to cross (a WAN, Ethernet, more switch tiers) takes longer by the difference of propagation,
// summed along the path that the first byte takes through the algorithm; one with faster links gets it back.
#include <string_view>
#include <vector>

#include "sim/collectives/collective.hpp"
#include "sim/collectives/member_groups.hpp"

namespace trainyard {

// Latency of a path beyond that of the hardware behind the tuner's tables; may be negative. In a folded Clos every path
// between nodes counts the tiers of the longest one in the job: a group does not become another one by lying on this or
// that side of a leaf, and the members that are far apart set the pace.
Seconds excess_latency(DeviceId from, DeviceId to, const Fabric& fabric);

// Along the critical path of the algorithm, without the time of sending. `algorithm` as CollectivePlan names it;
// `order` is a ring through the members of a node; `ring_hops` those of one pass round the ring.
Seconds path_excess(std::string_view algorithm, const CollectiveRequest& request, const MemberGroups& groups,
                    const Fabric& fabric, const std::vector<int>& order, int ring_hops);

// A sender has at most the slots of its channels under way (NCCL 2.30 src/init.cc: 8 slots in 4 MiB with Simple,
// 512 KiB with LL of which half is data, 4.69 MiB with LL128), so that a flow moves at most a window per round trip.
// The least time in which all flows between nodes can end.
Seconds window_time(const CollectivePlan& plan, const Fabric& fabric);

}  // namespace trainyard
