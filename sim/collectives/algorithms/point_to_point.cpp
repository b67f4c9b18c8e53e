// Send/recv, and all-to-all, gather and scatter built from it. Between nodes the data of a rail meets on the member
// that owns the rail (PXN), so that a node's traffic to another is even over its NICs.
#include <algorithm>
#include <map>

#include "sim/base/error.hpp"
#include "sim/collectives/algorithms/table.hpp"
#include "sim/collectives/base/sends.hpp"

namespace trainyard {
namespace {

constexpr std::size_t kExactShifts = 8;  // nodes up to which every pair of nodes has its own flows
constexpr std::size_t kSampledShifts = 4;
constexpr std::size_t kExactPeers = 8;  // members of a node up to which every pair has its own flow

}  // namespace

std::vector<Flow> send_traffic(const TrafficInput& input) {
  const std::span<const DeviceId> members = input.request.members;
  std::vector<Flow> flows;
  for (std::size_t i = 0; i < sends_of(members); ++i) {
    add_flow(flows, input.fabric, members[i], members[(i + 1) % members.size()], input.request.size);
  }
  return flows;
}

// Every member sends size / n to every other. Beyond kExactShifts nodes the peers of a node are sampled: nodes at a few
// distances around the cycle stand for all, with the same total, which keeps the number of flows linear.
std::vector<Flow> all_to_all_traffic(const TrafficInput& input) {
  const std::vector<MemberNode>& nodes = input.groups.nodes;
  const Bytes pair = input.request.size / static_cast<double>(input.groups.members);
  std::vector<Flow> flows;
  for (const MemberNode& node : nodes) {
    const std::size_t local = node.members.size();
    const std::size_t shifts = local <= kExactPeers ? local - 1 : std::min<std::size_t>(local - 1, kSampledShifts);
    for (std::size_t m = 0; m < local; ++m) {
      for (std::size_t s = 1; s <= shifts; ++s) {
        const std::size_t distance = shifts == local - 1 ? s : 1 + (s - 1) * (local - 1) / shifts;
        add_flow(flows, input.fabric, node.members[m], node.members[(m + distance) % local],
                 pair * (static_cast<double>(local - 1) / static_cast<double>(shifts)));
      }
    }
  }
  const std::size_t others = nodes.size() - 1;
  const std::size_t shifts = others <= kExactShifts ? others : kSampledShifts;
  for (std::size_t i = 0; i < nodes.size() && shifts > 0; ++i) {
    const std::vector<DeviceId>& members = nodes[i].members;
    const double outside = static_cast<double>(input.groups.members - members.size());
    for (std::size_t s = 1; s <= shifts; ++s) {
      const std::size_t distance = shifts == others ? s : 1 + (s - 1) * others / shifts;
      const std::vector<DeviceId>& peers = nodes[(i + distance) % nodes.size()].members;
      for (std::size_t m = 0; m < members.size(); ++m) {
        add_flow(flows, input.fabric, members[m], peers[m % peers.size()],
                 pair * (outside / static_cast<double>(shifts)));
      }
    }
  }
  return flows;
}

// Inside a node every pair has its flow. Between nodes the data for a member first passes to the peer that owns the
// member's rail, so that there is one flow per rail and pair of nodes, and one per pair of peers for what it gathers.
std::vector<Flow> exchange_traffic(const TrafficInput& input) {
  std::map<int, const MemberNode*> node_of;
  for (const MemberNode& node : input.groups.nodes) {
    node_of[node.node] = &node;
  }
  std::map<std::pair<DeviceId, DeviceId>, Bytes> sums;
  for (const Transfer& transfer : input.request.transfers) {
    const int node = input.fabric.node_of(transfer.from);
    DeviceId at = transfer.from;
    if (node != input.fabric.node_of(transfer.to)) {
      at = rail_owner(transfer.from, transfer.to, *node_of.at(node), input.fabric);
      if (at != transfer.from) {
        sums[{transfer.from, at}] += transfer.bytes;
      }
    }
    sums[{at, transfer.to}] += transfer.bytes;
  }
  std::vector<Flow> flows;
  flows.reserve(sums.size());
  for (const auto& [pair, bytes] : sums) {
    add_flow(flows, input.fabric, pair.first, pair.second, bytes);
  }
  return flows;
}

// Root is members[0]; every other member exchanges size / n with it.
std::vector<Flow> gather_traffic(const TrafficInput& input) {
  const DeviceId root = input.request.members.front();
  const Bytes share = input.request.size / static_cast<double>(input.groups.members);
  std::vector<Flow> flows;
  for (const DeviceId member : input.request.members.subspan(1)) {
    const bool to_root = input.request.op == CollectiveOp::kGather;
    add_flow(flows, input.fabric, to_root ? member : root, to_root ? root : member, share);
  }
  return flows;
}

namespace {

std::vector<Flow> point_to_point_traffic(const TrafficInput& input) {
  switch (input.request.op) {
    case CollectiveOp::kSendRecv:
      return send_traffic(input);
    case CollectiveOp::kGather:
    case CollectiveOp::kScatter:
      return gather_traffic(input);
    default:
      return input.request.transfers.empty() ? all_to_all_traffic(input) : exchange_traffic(input);
  }
}

Seconds point_to_point_path(const PathInput& input) {
  return input.request.op == CollectiveOp::kSendRecv ? farthest_send(input)
         : input.groups.nodes.size() > 1             ? farthest_node(input)
                                                     : mean_inside(input);
}

}  // namespace

constinit const CollectiveAlgorithm algorithms::kPointToPoint{
    .name = Algorithm::kPointToPoint,
    .description = "each message by itself; send/recv, all-to-all, gather, scatter",
    .serves = [](CollectiveOp op, const NcclVersion& /*version*/) { return is_point_to_point(op); },
    .traffic = point_to_point_traffic,
    .path = point_to_point_path,
    .user_passes = 2.0,  // read on one side, written on the other
};

}  // namespace trainyard
