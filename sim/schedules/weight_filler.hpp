#pragma once
// Where the passes of the weights' gradients go when the order of all other passes is given.
#include <vector>

#include "sim/schedules/schedule.hpp"

namespace trainyard {

// Plays the orders of forward and input-gradient passes with every pass taking one unit of time. A stage whose next
// pass cannot start yet, because its input is not there or because `most_held` passes hold activations already,
// computes a waiting weight gradient, oldest first; the rest follow at the end. Source of the rule: arXiv 2401.10241,
// section 4
// ("W is used to fill bubbles, or to free memory").
std::vector<PassOrder> fill_with_weight_gradients(const std::vector<PassOrder>& orders, const ScheduleShape& shape,
                                                  std::int32_t most_held);

}  // namespace trainyard
