#include "sim/collectives/footprint.hpp"

#include <algorithm>

#include "sim/base/error.hpp"
#include "sim/collectives/algorithms/table.hpp"

namespace trainyard {
namespace {

const CollectiveAlgorithm& algorithm_of(const CollectivePlan& plan) {
  TY_ASSERT(plan.algorithm.has_value());
  return row_of(*plan.algorithm);
}

// Bytes of a slot over bytes of its data.
double slot_bytes(Protocol protocol) {
  switch (protocol) {
    case Protocol::kLl:
      return 2.0;
    case Protocol::kLl128:
      return 128.0 / 120.0;
    case Protocol::kSimple:
      break;
  }
  return 1.0;
}

// Reads and writes per byte that passes from member to member.
double passes_inside(const CollectivePlan& plan, const CollectiveRequest& request) {
  if (request.buffers == BufferUse::kCopyEngine) {
    return 2.0;  // read there, written here
  }
  const bool reduces = request.op == CollectiveOp::kAllReduce || request.op == CollectiveOp::kReduceScatter ||
                       request.op == CollectiveOp::kReduce;
  if (request.buffers == BufferUse::kRegistered && !reduces) {
    return 2.0;  // straight into the user's buffer, and read there by whoever forwards it
  }
  return 2.0 * slot_bytes(plan.protocol.value_or(Protocol::kSimple)) + algorithm_of(plan).user_passes;
}

// NVLS in the units of the payload. Unregistered: the payload is copied into the multicast buffer (2) and the result
// out of it (2); between them the switch reads the operand and writes the result (2, or one of them for gathers).
// Source: NCCL 2.30 src/device/all_reduce.h, all_gather.h, reduce_scatter.h, the NVLS specialisations.
double switch_passes(const CollectiveRequest& request, double members) {
  const bool copied = request.buffers == BufferUse::kCopied;
  if (request.op == CollectiveOp::kAllReduce) {
    return copied ? 6.0 : 2.0;
  }
  return (copied ? 3.0 : 1.0) + 1.0 / members;
}

}  // namespace

int held_sms(const CollectivePlan& plan, const CollectiveRequest& request, const MemberGroups& groups,
             bool network_reduction) {
  if (request.buffers == BufferUse::kCopyEngine) {
    return 0;
  }
  if (request.buffers == BufferUse::kCopied) {
    return plan.channels;
  }
  const bool one_node = groups.nodes.size() == 1;
  if (algorithm_of(plan).reducer == Reducer::kSwitch && one_node) {
    // Source: NCCL 2.30 src/transport/nvls.cc, channels of registered NVLS on one node: all-gather and all-reduce 4,
    // reduce-scatter 5.
    return std::min(plan.channels, request.op == CollectiveOp::kReduceScatter ? 5 : 4);
  }
  // Source: Megatron-LM core/distributed/distributed_data_parallel_config.py, SMs of registered gathers and scatters:
  // 6 with NVLink and a reducing network, 16 without; over the network alone 1 and 4, or 1 with a reducing network.
  if (groups.largest == 1) {
    return std::min(plan.channels, network_reduction || request.op == CollectiveOp::kAllGather ? 1 : 4);
  }
  return std::min(plan.channels, network_reduction ? 6 : 16);
}

Bytes memory_traffic(const CollectivePlan& plan, const CollectiveRequest& request, const MemberGroups& groups,
                     const Fabric& fabric) {
  Bytes inside{};
  Bytes outside{};
  for (const Flow& flow : plan.flows) {
    (fabric.node_of(flow.from) == fabric.node_of(flow.to) ? inside : outside) += flow.bytes;
  }
  const double members = static_cast<double>(groups.members);
  const double passes = passes_inside(plan, request);
  const double staging = request.buffers == BufferUse::kCopied ? 2.0 : 0.0;
  const Bytes network = outside * ((passes + staging) / members);
  if (algorithm_of(plan).reducer == Reducer::kSwitch) {
    return request.size * switch_passes(request, members) + network;
  }
  return inside * (passes / members) + network;
}

}  // namespace trainyard
