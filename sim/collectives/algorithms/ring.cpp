// Ring: every edge of the cycle carries 2 (n-1)/n of the payload for all-reduce, (n-1)/n for all-gather and
// reduce-scatter. Broadcast and reduce are a chain from or to the root with the whole payload on each edge.
// Over several nodes each of g channels enters a node at another member, so an edge inside the node is on (g-1) of g
// channels and each rail on one.
#include <algorithm>

#include "sim/collectives/algorithms/table.hpp"

namespace trainyard {
namespace {

// The chain visits the root's node first, then the other nodes; `request.members[0]` is the root.
std::vector<Flow> chain_traffic(const TrafficInput& input) {
  const std::vector<MemberNode>& nodes = input.groups.nodes;
  const DeviceId root = input.request.members.front();
  const int root_node = input.fabric.node_of(root);
  std::size_t first = 0;
  while (nodes[first].node != root_node) {
    ++first;
  }
  const bool towards_root = input.request.op == CollectiveOp::kReduce;
  std::vector<Flow> flows;
  const auto link = [&](DeviceId a, DeviceId b, Bytes bytes) {
    add_flow(flows, input.fabric, towards_root ? b : a, towards_root ? a : b, bytes);
  };
  const std::size_t rails = input.groups.smallest;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const std::vector<DeviceId>& members = nodes[(first + i) % nodes.size()].members;
    const double local = static_cast<double>(members.size());
    for (std::size_t m = 0; m < members.size() && members.size() > 1; ++m) {
      const bool closes = nodes.size() == 1 && members[(m + 1) % members.size()] == root;
      const double share = nodes.size() == 1 ? (closes ? 0.0 : 1.0) : (local - 1.0) / local;
      link(members[m], members[(m + 1) % members.size()], input.request.size * share);
    }
    if (i + 1 < nodes.size()) {
      const std::vector<DeviceId>& next = nodes[(first + i + 1) % nodes.size()].members;
      for (std::size_t r = 0; r < rails; ++r) {
        link(members[r], next[r], input.request.size / static_cast<double>(rails));
      }
    }
  }
  return flows;
}

}  // namespace

Bytes ring_volume(const CollectiveRequest& request, std::size_t members) {
  const double n = static_cast<double>(members);
  switch (request.op) {
    case CollectiveOp::kAllReduce:
      return request.size * (2.0 * (n - 1.0) / n);
    case CollectiveOp::kAllGather:
    case CollectiveOp::kReduceScatter:
      return request.size * ((n - 1.0) / n);
    default:
      return request.size;
  }
}

std::vector<Flow> ring_traffic(const TrafficInput& input) {
  const CollectiveOp op = input.request.op;
  if (op == CollectiveOp::kBroadcast || op == CollectiveOp::kReduce) {
    return chain_traffic(input);
  }
  const std::vector<MemberNode>& nodes = input.groups.nodes;
  const Bytes volume = ring_volume(input.request, input.groups.members);
  std::vector<Flow> flows;
  flows.reserve(2 * input.groups.members);
  for (const MemberNode& node : nodes) {
    const std::size_t local = node.members.size();
    if (local < 2) {
      continue;
    }
    const double share = nodes.size() == 1 ? 1.0 : static_cast<double>(local - 1) / static_cast<double>(local);
    const double per_order = share / static_cast<double>(local == input.groups.largest ? input.orders.size() : 1);
    for (std::size_t o = 0; o < input.orders.size(); ++o) {
      for (std::size_t m = 0; m < local; ++m) {
        // Nodes with fewer members than the others have no searched order: they go round by local index.
        const bool searched = input.orders[o].size() == local;
        const auto a = searched ? static_cast<std::size_t>(input.orders[o][m]) : m;
        const auto b = searched ? static_cast<std::size_t>(input.orders[o][(m + 1) % local]) : (m + 1) % local;
        add_flow(flows, input.fabric, node.members[a], node.members[b], volume * per_order);
      }
      if (input.orders[o].size() != local) {
        break;
      }
    }
  }
  add_rail_cycle(flows, input, volume);
  return flows;
}

namespace {

bool serves_ring(CollectiveOp op, const NcclVersion& version) {
  return serves_reductions(op, version) || op == CollectiveOp::kBroadcast || op == CollectiveOp::kReduce;
}

// Steps of latency: a torus goes along its dimensions one after another.
double latency_steps(const TunerCase& c) {
  const double passes = c.reduces_and_gathers() ? 2.0 : 1.0;
  return c.input.graphs.ring_hops > 0 && !c.is_chain() ? passes * c.input.graphs.ring_hops : c.ring_steps();
}

double ring_latency(const TunerCase& c) {
  const NcclVersion& v = *c.input.version;
  // Posting to the network: 1 us, 2 us on AMD processors, three times that with Simple.
  const double post =
      c.input.nodes > 1 ? (c.input.amd_processor ? 2.0 : 1.0) * (c.protocol == Protocol::kSimple ? 3.0 : 1.0) : 0.0;
  if (c.is_chain()) {
    return c.base() + std::max(c.protocol == Protocol::kSimple
                                   ? (c.input.graphs.nvlink ? v.nvlink_hop : v.pci_hop)[1][2]
                                   : c.intra(),
                               post);
  }
  const double crossings = c.input.nodes > 1 ? (c.reduces_and_gathers() ? 2.0 : 1.0) * (c.nodes() - 1.0) : 0.0;
  const double sum = c.base() + (latency_steps(c) - crossings) * std::max(c.intra(), post) + crossings * c.inter();
  // Plateau over several nodes.
  const bool plateau = c.protocol == Protocol::kSimple && c.reduces_and_gathers() && c.input.nodes > 1 &&
                       c.size.value / (c.input.graphs.ring.channels * c.ranks()) >= 64.0;
  return plateau ? sum * (c.input.profile->compute_capability < 80 ? 1.9 : 1.4) : sum;
}

double ring_bandwidth(const TunerCase& c) {
  double bandwidth = c.ring_bus();
  if (c.protocol == Protocol::kLl) {
    bandwidth = std::min(c.ll_max(), c.input.version->ring_ll_share * bandwidth);
  } else if (c.protocol == Protocol::kLl128) {
    bandwidth = std::min(0.92 * bandwidth, c.input.graphs.ring.channels * c.rates.ring_ll128);
  }
  return bandwidth * c.to_algorithm();
}

// What the chunk with the longest way crosses; every pass goes once round.
Seconds ring_path(const PathInput& input) {
  const double passes = input.passes();
  const double nodes = static_cast<double>(input.groups.nodes.size());
  return mean_inside(input) * (passes * (input.ring_hops - (nodes - 1.0))) + once_round(input) * passes;
}

std::vector<Flow> torus_or_ring_traffic(const TrafficInput& input) {
  const auto torus = torus_traffic(input);
  return torus ? *torus : ring_traffic(input);
}

constexpr TunerModel kRingModel{
    .fits = [](const TunerInput& /*input*/) { return true; },
    .protocols = Protocols::kAll,
    .latency = ring_latency,
    .bandwidth = ring_bandwidth,
    .channels =
        [](const TunerCase& c) {
          return filled_channels(c.input.graphs.ring_executed, c.protocol, 8.0 * c.input.ranks, c.size);
        },
    .calls_at_once = [](int channels) { return std::max(1, channels); },
};

}  // namespace

constinit const CollectiveAlgorithm algorithms::kRing{
    .name = Algorithm::kRing,
    .description = "n - 1 steps round a cycle of all members; every operation",
    .serves = serves_ring,
    .tuner = &kRingModel,
    .traffic = torus_or_ring_traffic,
    .path = ring_path,
};

}  // namespace trainyard
