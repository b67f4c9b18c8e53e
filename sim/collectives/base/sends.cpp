#include "sim/collectives/base/sends.hpp"

#include <algorithm>
#include <map>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

// Channels of one message between two GPUs of a node: the communicator's channels divided among its ranks, doubled
// while a channel's part is above 32 chunks of 512 KiB. Source: NCCL 2.30 src/enqueue.cc, p2p task scheduling.
int send_channels(const PointToPoint& p2p, Bytes size, int communicator) {
  constexpr double kLargestPart = 32.0 * 524288.0;
  int channels = p2p.channels;
  while (channels > 1 && channels * communicator > p2p.channels) {
    channels /= 2;
  }
  while (channels < p2p.channels && size.value > channels * kLargestPart) {
    channels *= 2;
  }
  return channels;
}

// What passes each way of each member and NIC; the fullest decides.
class ExchangeLoads {
 public:
  ExchangeLoads(const MemberGroups& groups, const Fabric& fabric) : fabric_(fabric) {
    for (const MemberNode& node : groups.nodes) {
      node_of_[node.node] = &node;
    }
  }

  void add(const Transfer& transfer) {
    const int from_node = fabric_.node_of(transfer.from);
    const int to_node = fabric_.node_of(transfer.to);
    if (transfer.from == transfer.to) {
      return;
    }
    if (from_node == to_node) {
      add_inside(transfer.from, transfer.to, transfer.bytes);
      return;
    }
    const DeviceId owner = rail_owner(transfer.from, transfer.to, *node_of_.at(from_node), fabric_);
    if (owner != transfer.from) {
      add_inside(transfer.from, owner, transfer.bytes);
    }
    grow(network_out_[{from_node, port_of(owner)}], transfer.bytes, most_outside_);
    grow(network_in_[{to_node, port_of(transfer.to)}], transfer.bytes, most_outside_);
  }

  Bytes most_inside() const { return most_inside_; }
  Bytes most_outside() const { return most_outside_; }

 private:
  static void grow(Bytes& load, Bytes bytes, Bytes& most) {
    load += bytes;
    most = max(most, load);
  }
  void add_inside(DeviceId from, DeviceId to, Bytes bytes) {
    grow(inside_out_[from], bytes, most_inside_);
    grow(inside_in_[to], bytes, most_inside_);
  }
  // Without numbered NICs every device has its own.
  int port_of(DeviceId device) const {
    const int rail = fabric_.rail_of(device);
    return rail >= 0 ? rail : fabric_.local_index(device);
  }

  const Fabric& fabric_;
  std::map<int, const MemberNode*> node_of_;
  std::map<DeviceId, Bytes> inside_out_;
  std::map<DeviceId, Bytes> inside_in_;
  std::map<std::pair<int, int>, Bytes> network_out_;
  std::map<std::pair<int, int>, Bytes> network_in_;
  Bytes most_inside_{};
  Bytes most_outside_{};
};

}  // namespace

DeviceId rail_owner(DeviceId from, DeviceId to, const MemberNode& node, const Fabric& fabric) {
  const int rail = fabric.rail_of(to);
  if (rail < 0 || rail == fabric.rail_of(from)) {
    return from;
  }
  for (const DeviceId member : node.members) {
    if (fabric.rail_of(member) == rail) {
      const std::vector<LinkId> route = fabric.route(from, member);
      const bool nvlink = std::all_of(route.begin(), route.end(),
                                      [&](LinkId link) { return fabric.link(link).kind == LinkKind::kNvLink; });
      return nvlink ? member : from;
    }
  }
  return from;
}

CollectiveEstimate estimate_point_to_point(const CollectiveRequest& request, const MemberGroups& groups,
                                           const ClusterSpec& cluster, const Fabric& fabric,
                                           const CollectiveProfile& profile, const CollectiveOptions& options) {
  const PointToPoint& p2p = profile.p2p;
  const double n = static_cast<double>(groups.members);
  const double local = static_cast<double>(groups.largest);
  const bool many_nodes = groups.nodes.size() > 1;
  const double nics = std::max(1.0, std::min(local, static_cast<double>(cluster.node.nics)));
  CollectiveEstimate out{.algorithm = Algorithm::kPointToPoint,
                         .protocol = Protocol::kSimple,
                         .ranks = static_cast<int>(groups.members),
                         .nodes = static_cast<int>(groups.nodes.size()),
                         .latency = p2p.latency + (many_nodes ? p2p.network_latency : Seconds{})};
  const BytesPerSecond network = cluster.node.nic_bandwidth * p2p.network_share;
  const auto slowest = [&](Bytes inside, Bytes outside, BytesPerSecond inside_rate, BytesPerSecond outside_rate) {
    Seconds longest{};
    if (inside.value > 0.0) {
      longest = inside / inside_rate;
    }
    return outside.value > 0.0 ? max(longest, outside / outside_rate) : longest;
  };
  const Bytes to_own_node = request.size * ((local - 1.0) / n);
  const Bytes to_others = request.size * ((n - local) / n);
  constexpr int kMostChannels = 16;
  out.channels = std::min(kMostChannels, 2 * (out.ranks - 1));
  switch (request.op) {
    case CollectiveOp::kSendRecv: {
      const int communicator = out.ranks > 2 ? out.ranks : cluster.gpus_per_node;
      out.channels = many_nodes ? 2 : send_channels(p2p, request.size, options.communicator.value_or(communicator));
      const BytesPerSecond pair = min(p2p.pair_rate, p2p.channel_rate * out.channels);
      bool inside = false;
      bool outside = false;
      for (std::size_t i = 0; i < sends_of(request.members); ++i) {
        const DeviceId next = request.members[(i + 1) % request.members.size()];
        const bool same_node = fabric.node_of(request.members[i]) == fabric.node_of(next);
        inside = inside || same_node;
        outside = outside || !same_node;
      }
      out.transfer = slowest(inside ? request.size : Bytes{}, outside ? request.size : Bytes{}, pair, network);
      return out;
    }
    case CollectiveOp::kAllToAllV:
      if (!request.transfers.empty()) {
        ExchangeLoads loads(groups, fabric);
        for (const Transfer& transfer : request.transfers) {
          loads.add(transfer);
        }
        out.transfer = slowest(loads.most_inside(), loads.most_outside(), p2p.device_rate, network);
        return out;
      }
      [[fallthrough]];
    case CollectiveOp::kAllToAll:
      out.transfer = slowest(to_own_node, to_others, p2p.device_rate, network * (nics / local));
      return out;
    default:
      TY_ASSERT(request.op == CollectiveOp::kGather || request.op == CollectiveOp::kScatter);
      out.transfer = slowest(to_own_node, to_others, p2p.device_rate, network);
      return out;
  }
}

}  // namespace trainyard
