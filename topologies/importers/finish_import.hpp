#pragma once
// From what a file shows of a node to a cluster.
#include <string>

#include "topologies/importers/imported_node.hpp"
#include "topologies/importers/importers.hpp"
#include "topologies/importers/like_rates.hpp"

namespace trainyard {

// Throws UserError where the node is none that can be simulated.
ClusterSpec finish_import(ImportedNode node, const std::string& file, const ImportBasis& basis, const LikeNode& like,
                          const LikeRates& rates);

}  // namespace trainyard
