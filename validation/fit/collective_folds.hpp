#pragma once
// Cross-validation of collectives: every row predicted by curves that have not seen its configuration.
#include <vector>

#include "validation/fit/fit_collectives.hpp"

namespace trainyard {

inline constexpr std::size_t kCollectiveFolds = 5;

struct HeldOutCollective {
  Seconds time{};
  CollectivePlan plan;
};

// In the order of the rows, which are of one system and none of them skipped. Rows of one configuration (operation,
// ranks, size) share a fold.
std::vector<HeldOutCollective> predict_held_out(const std::vector<CollectiveMeasurement>& rows,
                                                CollectiveLaboratory& laboratory);

}  // namespace trainyard
