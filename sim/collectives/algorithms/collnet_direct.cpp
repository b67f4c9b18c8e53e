// CollNet direct: every member sends its share to a head of its node, switches of the network reduce (SHARP).
#include <algorithm>

#include "sim/collectives/algorithms/table.hpp"

namespace trainyard {
namespace {

double collnet_direct_latency(const TunerCase& c) {
  return c.base() + 2.0 * (std::min(1.0, c.per_node() - 1.0) * c.intra() + (c.per_node() - 1.0) * 0.4) + c.inter();
}

double collnet_direct_bandwidth(const TunerCase& c) {
  const ChannelGraph& ring = c.input.graphs.ring;
  if (!c.reduces_and_gathers()) {
    return c.per_node() * std::min(ring.intra, 0.9 * ring.inter);
  }
  const double g = c.per_node() / ring.channels;
  return c.ring_bus() / std::max(1.0, g - (g - 1.0) / 2.0) * (c.input.profile->compute_capability >= 90 ? 0.85 : 1.0) *
         0.5;
}

constexpr TunerModel kCollnetDirectModel{
    .fits =
        [](const TunerInput& input) {
          return input.has_network_reduction && input.nodes > 1 && input.graphs.nvlink &&
                 input.ranks <= 8 * input.nodes;
        },
    .latency = collnet_direct_latency,
    .bandwidth = collnet_direct_bandwidth,
    .channels = ring_channels,
    .calls_at_once = calls_of_a_batch,
};

}  // namespace

constinit const CollectiveAlgorithm algorithms::kCollNetDirect{
    .name = Algorithm::kCollNetDirect,
    .description =
        "switches of the network reduce (SHARP), every member sends its share to a head; up to eight GPUs a node",
    .serves = serves_reductions,
    .tuner = &kCollnetDirectModel,
    .traffic = [](const TrafficInput& input) { return network_reduction_traffic(input, InsideNode::kMembers); },
    .path = path_over_switch,
};

}  // namespace trainyard
