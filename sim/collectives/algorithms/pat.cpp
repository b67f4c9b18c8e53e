// PAT, parallel aggregated trees: log2 n rounds, whose bytes are those of the ring.
#include <cmath>

#include "sim/collectives/algorithms/table.hpp"

namespace trainyard {
namespace {

bool serves_pat(CollectiveOp op, const NcclVersion& version) {
  return version.has_pat && serves_gathers(op, version);
}

double pat_latency(const TunerCase& c) {
  return c.base() + std::log2(c.nodes()) * c.inter() / 3.5 + 2.8 * c.ranks();
}

double pat_bandwidth(const TunerCase& c) {
  return c.ring_bus() * c.input.version->pat_share * c.to_algorithm();
}

// One node at each distance.
Seconds pat_path(const PathInput& input) {
  Seconds sum{};
  for (std::size_t distance = 1; distance < input.groups.nodes.size(); distance *= 2) {
    sum += between_nodes(input, 0, distance);
  }
  return sum;
}

constexpr TunerModel kPatModel{
    .fits = [](const TunerInput& input) { return input.ranks == input.nodes; },
    .latency = pat_latency,
    .bandwidth = pat_bandwidth,
    .channels = ring_channels,
    .calls_at_once = calls_of_a_batch,
};

}  // namespace

constinit const CollectiveAlgorithm algorithms::kPat{
    .name = Algorithm::kPat,
    .description = "parallel aggregated trees: log2 n rounds for one GPU a node; all-gather and reduce-scatter",
    .serves = serves_pat,
    .tuner = &kPatModel,
    .traffic = ring_traffic,
    .path = pat_path,
};

}  // namespace trainyard
