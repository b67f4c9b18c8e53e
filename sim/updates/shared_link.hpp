#pragma once
// Many flows through one link, each held up besides by its own far end alone: as max-min fair as FlowNetwork, in
// O(log n) a flow where that takes O(n).
#include <vector>

#include "sim/base/quantity.hpp"

namespace trainyard {

struct LinkTransfer {
  Seconds start{};
  Bytes bytes{};
  BytesPerSecond most{};  // of its own; more than nothing
};

// When each is over. All that is left to give is shared equally among those that could take more (Bertsekas and
// Gallager, "Data Networks", 2nd edition, 6.5.2).
std::vector<Seconds> shared_link_ends(BytesPerSecond capacity, const std::vector<LinkTransfer>& transfers);

}  // namespace trainyard
