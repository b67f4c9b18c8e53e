#pragma once
// What a running collective takes from each member's GPU: SMs for as long as it runs, and bytes through its memory.
//
// SMs: a channel is one thread block that stays on its SM for the whole collective (NCCL 2.30 src/enqueue.cc launches
// one block per channel). With registered user buffers a few blocks drive the switch or the network instead (NCCL 2.30
// src/transport/nvls.cc; the same counts in Megatron-LM's core/distributed/distributed_data_parallel_config.py). Copy
// engines hold none.
//
// Memory: counted from the data flow of NCCL's primitives (src/device/prims_simple.h, prims_ll.h, prims_ll128.h). Per
// byte that a member sends to the next: the arriving byte is written into a slot (1), read from it (1), and meets the
// user's buffer once, read as the second operand of a reduction or written as the result of a gather (1). An LL slot
// holds as many flag bytes as data, an LL128 slot 8 in 128. A byte that leaves through a NIC is also written to and
// read from a send slot (2). Slots that stay in the L2 cache cost less than this: the figure is an upper bound.
#include "sim/collectives/base/collective.hpp"
#include "sim/collectives/base/member_groups.hpp"

namespace trainyard {

// SMs of one member while the plan runs.
int held_sms(const CollectivePlan& plan, const CollectiveRequest& request, const MemberGroups& groups,
             bool network_reduction);

// Bytes read plus bytes written in one member's memory over the whole collective, the mean over members.
Bytes memory_traffic(const CollectivePlan& plan, const CollectiveRequest& request, const MemberGroups& groups,
                     const Fabric& fabric);

}  // namespace trainyard
