#pragma once
// The order that 1F1B and its descendants share.
#include <algorithm>

#include "sim/schedules/pipeline.hpp"

namespace trainyard {

// `warm_up` forward passes, then forward and backward in turn, then the remaining backward passes.
inline PassOrder one_forward_one_backward(std::int32_t micro_batches, std::int32_t warm_up, PassKind backward) {
  PassOrder order;
  const std::int32_t ahead = std::min(warm_up, micro_batches);
  for (std::int32_t m = 0; m < ahead; ++m) {
    order.push_back({PassKind::kForward, m, 0});
  }
  for (std::int32_t m = 0; m < micro_batches; ++m) {
    if (ahead + m < micro_batches) {
      order.push_back({PassKind::kForward, ahead + m, 0});
    }
    order.push_back({backward, m, 0});
  }
  return order;
}

}  // namespace trainyard
