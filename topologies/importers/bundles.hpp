#pragma once
// From counts of links between pairs of GPUs to what carries them: a plane of switches, or direct bundles.
#include <string>
#include <vector>

#include "topologies/importers/imported_node.hpp"
#include "topologies/importers/like_rates.hpp"

namespace trainyard {

// links[a][b] of a symmetric matrix. Sets planes and bundles of `node`. Through a switch every GPU shows all its links
// to every other, so that more of them in total than a GPU has mean a switch; two GPUs joined by all their links are
// taken to be as `like` joins them. Throws UserError where a GPU would need more links than it has.
void settle_bundles(const std::vector<std::vector<int>>& links, const LikeRates& rates, ScaleUp like,
                    const std::string& file, ImportedNode& node);

}  // namespace trainyard
