// ZB-H1: the order of 1F1B, its weight gradients put off until a bubble or until as many activations are held as the
// first stage of 1F1B holds. Bubble (p - 1) (F + B - W). Source: arXiv 2401.10241, section 2.2.
#include "sim/schedules/one_forward_one_backward.hpp"
#include "sim/schedules/weight_filler.hpp"

namespace trainyard {

std::vector<PassOrder> zb_h1(const ScheduleShape& shape) {
  std::vector<PassOrder> orders;
  for (std::int32_t stage = 0; stage < shape.stages; ++stage) {
    orders.push_back(one_forward_one_backward(shape.micro_batches, shape.stages - stage - 1, PassKind::kInputGradient));
  }
  return fill_with_weight_gradients(orders, shape, shape.stages);
}

}  // namespace trainyard
