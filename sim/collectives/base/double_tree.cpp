#include "sim/collectives/base/double_tree.hpp"

#include <algorithm>
#include <vector>

#include "sim/collectives/base/max_min.hpp"

namespace trainyard {

std::size_t tree_parent(std::size_t node, std::size_t nodes) {
  const std::size_t lowest = node & (~node + 1);
  const std::size_t up = (node ^ lowest) | (lowest << 1U);
  return up < nodes ? up : node ^ lowest;
}

std::size_t second_tree_node(std::size_t node, std::size_t nodes) {
  return nodes % 2 == 0 ? nodes - 1 - node : (node + 1) % nodes;
}

double busiest_over_mean(std::size_t nodes) {
  if (nodes < 2) {
    return 1.0;
  }
  // Edges at a node are messages it sends: up to the parent, down to each child; n - 1 edges a tree have two ends.
  std::vector<int> edges(nodes);
  for (std::size_t i = 1; i < nodes; ++i) {
    const std::size_t parent = tree_parent(i, nodes);
    for (const std::size_t end : {i, parent, second_tree_node(i, nodes), second_tree_node(parent, nodes)}) {
      ++edges[end];
    }
  }
  const double mean = 4.0 * static_cast<double>(nodes - 1) / static_cast<double>(nodes);
  return *std::max_element(edges.begin(), edges.end()) / mean;
}

Seconds busiest_node_time(std::span<const Flow> flows, std::size_t nodes, const Fabric& fabric) {
  std::vector<Flow> between;
  for (const Flow& flow : flows) {
    if (fabric.node_of(flow.from) != fabric.node_of(flow.to)) {
      between.push_back(flow);
    }
  }
  Seconds longest{};
  for (const Seconds end : flow_ends(between, fabric)) {
    longest = max(longest, end);
  }
  return longest * busiest_over_mean(nodes);
}

}  // namespace trainyard
