#pragma once
// NCCL's two binary trees over nodes: who is whose parent, and what the busiest node sends.
#include <cstddef>
#include <span>

#include "sim/collectives/base/collective.hpp"

namespace trainyard {

// A node's parent in the first tree (NCCL 2.30 src/graph/trees.cc, as described there): clear the lowest set bit and
// set the next higher one, or only clear it where that node does not exist. Node 0 is the root.
std::size_t tree_parent(std::size_t node, std::size_t nodes);

// Which node stands in the second tree where `node` stands in the first: its mirror image, or the next one when the
// number of nodes is odd, so that who is inner in one tree is leaf in the other (the same file).
std::size_t second_tree_node(std::size_t node, std::size_t nodes);

// What the busiest node sends over what a node sends in the mean: each tree carries half of the payload up every edge
// and down again. 1 for one or two nodes, n / (n - 1) for even n from four on.
double busiest_over_mean(std::size_t nodes);

// The least time in which the flows between nodes can end when they stand for the mean of two trees over `nodes`.
Seconds busiest_node_time(std::span<const Flow> flows, std::size_t nodes, const Fabric& fabric);

}  // namespace trainyard
