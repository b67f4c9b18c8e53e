// CollNet chain: a chain inside the nodes, switches of the network reduce (SHARP).
#include "sim/collectives/algorithms/table.hpp"

namespace trainyard {
namespace {

double collnet_chain_latency(const TunerCase& c) {
  return c.base() + 2.0 * (c.per_node() - 1.0) * c.intra() + c.inter();
}

// Along the chain and back, up to the network's switches.
Seconds collnet_chain_path(const PathInput& input) {
  return mean_inside(input) * (2.0 * input.chain()) + farthest_node(input);
}

constexpr TunerModel kCollnetChainModel{
    .fits = [](const TunerInput& input) { return input.has_network_reduction && input.nodes > 1; },
    .latency = collnet_chain_latency,
    .bandwidth = [](const TunerCase& c) { return c.ring_bus() * 0.5; },
    .channels = ring_channels,
    .calls_at_once = calls_of_a_batch,
};

}  // namespace

constinit const CollectiveAlgorithm algorithms::kCollNetChain{
    .name = Algorithm::kCollNetChain,
    .description = "switches of the network reduce (SHARP), a chain inside the nodes; all-reduce",
    .serves = serves_all_reduce,
    .tuner = &kCollnetChainModel,
    .traffic = [](const TrafficInput& input) { return network_reduction_traffic(input, InsideNode::kMembers); },
    .path = collnet_chain_path,
};

}  // namespace trainyard
