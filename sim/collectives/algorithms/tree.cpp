// Double binary tree: all-reduce sends the payload up and down. Between nodes every node is inner in one tree and leaf
// in the other, so it sends and receives twice the payload (Sanders, Speck, Traeff, "Two-tree algorithms", 2009);
// inside a node the members are a chain whose entry rotates over the channels. Approximation: between nodes each rail
// sends its share to the next node instead of to both trees' parents and children. The load on every NIC and leaf is
// that of the trees; which spine links are crossed is not, and that only matters where the network above the leaves is
// oversubscribed. In return nodes stay interchangeable.
#include <array>
#include <cmath>

#include "sim/collectives/algorithms/table.hpp"
#include "sim/collectives/base/double_tree.hpp"

namespace trainyard {

std::vector<Flow> tree_traffic(const TrafficInput& input) {
  std::vector<Flow> flows;
  flows.reserve(3 * input.groups.members);
  const Bytes size = input.request.size;
  for (const MemberNode& node : input.groups.nodes) {
    const std::size_t local = node.members.size();
    if (local < 2) {
      continue;
    }
    const double share = static_cast<double>(local - 1) / static_cast<double>(local);
    for (std::size_t m = 0; m < local; ++m) {
      const DeviceId a = node.members[m];
      const DeviceId b = node.members[(m + 1) % local];
      add_flow(flows, input.fabric, a, b, size * share);
      add_flow(flows, input.fabric, b, a, size * share);
    }
  }
  const double nodes = static_cast<double>(input.groups.nodes.size());
  add_rail_cycle(flows, input, size * (2.0 * (nodes - 1.0) / nodes));
  return flows;
}

namespace {

// What of a tree's bandwidth is left at 64 B, 128 B, ... 512 MB. Source: NCCL 2.30 src/graph/tuning.cc,
// treeCorrectionFactor.
constexpr std::size_t kCorrections = 24;
constexpr std::array<std::array<double, kCorrections>, 3> kCorrection{
    {{1, 1, 1, 1, .9, .8, .7, .7, .7, .7, .6, .5, .4, .4, .5, .6, .7, .8, .9, 1, 1, 1, 1, 1},
     {1, 1, 1, 1, 1, .9, .8, .8, .8, .7, .6, .6, .6, .6, .6, .6, .8, .9, .9, .9, .9, 1, 1, 1},
     {.9, .9, .9, .9, .9, .9, .9, .8, .7, .6, .6, .5, .5, .5, .5, .6, .7, .8, .7, .7, .8, .9, .9, .9}}};

double correction(const TunerCase& c) {
  if (c.size.value < 64.0) {
    return 1.0;
  }
  const auto index = static_cast<std::size_t>(std::floor(std::log2(c.size.value / 64.0)));
  return index < kCorrections ? kCorrection[static_cast<std::size_t>(c.protocol)][index] : 1.0;
}

double tree_latency(const TunerCase& c) {
  return c.base() + 2.0 * ((c.per_node() - 1.0) * c.intra() + std::floor(std::log2(c.nodes())) * c.inter());
}

double tree_bandwidth(const TunerCase& c) {
  const ChannelGraph& tree = c.input.graphs.tree;
  const bool inside = c.input.nodes == 1 || (c.input.nodes == 2 && c.input.version->two_node_trees_inside);
  const double bus = tree.channels * (inside ? tree.intra : tree.inter);
  const double channels = tree.channels;
  double bandwidth = std::min(0.92 * bus, channels * c.rates.tree[c.node_index()]);
  if (c.protocol == Protocol::kLl) {
    bandwidth = std::min(bandwidth / 3.8, c.ll_max());
  } else if (c.protocol == Protocol::kLl128) {
    bandwidth = std::min(bandwidth * (c.input.nodes == 1 ? 7.0 / 9.0 : 120.0 / 128.0),
                         channels * c.rates.tree_ll128[c.node_index()]);
  }
  return bandwidth * 0.5 * correction(c);
}

// Along the chain of a node and to the root, up and down.
Seconds tree_path(const PathInput& input) {
  return (mean_inside(input) * input.chain() + to_root(input)) * 2.0;
}

constexpr TunerModel kTreeModel{
    .fits = [](const TunerInput& input) { return input.graphs.ring_hops == 0; },  // nobody runs trees on a torus
    .protocols = Protocols::kAll,
    .latency = tree_latency,
    .bandwidth = tree_bandwidth,
    .channels = ring_channels,
    .calls_at_once = calls_of_a_batch,
};

}  // namespace

constinit const CollectiveAlgorithm algorithms::kTree{
    .name = Algorithm::kTree,
    .description = "double binary tree over nodes, a chain inside them; all-reduce",
    .serves = serves_all_reduce,
    .tuner = &kTreeModel,
    .traffic = tree_traffic,
    .path = tree_path,
    .least_transfer = busiest_node_time,
};

}  // namespace trainyard
