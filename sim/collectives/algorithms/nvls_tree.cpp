// NVLS tree: NVLS inside the nodes; between them every member is the head of its share, which trees reduce over its
// rail.
#include <algorithm>
#include <cmath>

#include "sim/collectives/algorithms/nvls.hpp"
#include "sim/collectives/base/double_tree.hpp"

namespace trainyard {
namespace {

double nvls_tree_latency(const TunerCase& c) {
  return c.base() + c.intra() + 2.0 * std::log2(c.nodes()) * c.inter();
}

double nvls_tree_bandwidth(const TunerCase& c) {
  const double between = c.input.graphs.nvls.inter * (c.input.nodes <= 2 ? 2.0 : 1.0);
  return nvls_bandwidth(c, std::min(between, c.rates.nvls_tree[c.node_index()])) * c.to_algorithm();
}

// Into the switch and to the root, up and down.
Seconds nvls_tree_path(const PathInput& input) {
  return (mean_inside(input) + to_root(input)) * 2.0;
}

constexpr TunerModel kNvlsTreeModel{
    .fits = [](const TunerInput& input) { return input.graphs.nvls.channels >= 2 && input.nodes > 1; },
    .latency = nvls_tree_latency,
    .bandwidth = nvls_tree_bandwidth,
    .channels = nvls_channels,
    .calls_at_once = calls_of_a_batch,
};

}  // namespace

constinit const CollectiveAlgorithm algorithms::kNvlsTree{
    .name = Algorithm::kNvlsTree,
    .description = "NVLS inside the nodes, trees over the rails between them; all-reduce",
    .serves = serves_all_reduce,
    .tuner = &kNvlsTreeModel,
    .traffic = nvls_traffic,
    .path = nvls_tree_path,
    .least_transfer = busiest_node_time,
    .reducer = Reducer::kSwitch,
};

}  // namespace trainyard
