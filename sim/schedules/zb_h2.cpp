// ZB-H2: twice the warm-up of 1F1B fills the first stages' wait for the first backward; weight gradients fill the rest.
// No stage idles between its first and its last pass when F = B = W. Source: arXiv 2401.10241, section 2.3.
#include "sim/schedules/one_forward_one_backward.hpp"
#include "sim/schedules/weight_filler.hpp"

namespace trainyard {

std::vector<PassOrder> zb_h2(const ScheduleShape& shape) {
  std::vector<PassOrder> orders;
  for (std::int32_t stage = 0; stage < shape.stages; ++stage) {
    orders.push_back(
        one_forward_one_backward(shape.micro_batches, 2 * (shape.stages - stage - 1), PassKind::kInputGradient));
  }
  return fill_with_weight_gradients(orders, shape, 2 * shape.stages - 1);
}

}  // namespace trainyard
