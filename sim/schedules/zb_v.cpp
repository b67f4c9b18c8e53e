// ZB-V: two chunks per stage in a V, so the stage that begins the forward pass ends it too and backward can start at
// once. No stage idles between its first and its last pass when F = B = W and there are at least 2 p - 1 micro-batches;
// at most 2 p chunk passes hold activations, as many as stage 0 of 1F1B holds.
// Source: arXiv 2405.15362, section 3, in the hand-made order of torch/distributed/pipelining/schedules.py,
// ScheduleZBVZeroBubble.
#include <algorithm>

#include "sim/schedules/schedule.hpp"
#include "sim/schedules/stage_order.hpp"

namespace trainyard {
namespace {

PassOrder order_of(std::int32_t stages, std::int32_t micro_batches, std::int32_t stage) {
  StageOrder order;
  for (std::int32_t i = 0; i < 2 * (stages - stage) - 1; ++i) {
    order.forward(0);
  }
  for (std::int32_t i = 0; i < stage; ++i) {
    order.forward(1).forward(0);
  }
  for (std::int32_t i = 0; i < stages - stage; ++i) {
    order.forward(1).input_gradient(1).weight_gradient(1);
  }
  while (order.forwards(1) < order.forwards(0) || order.forwards(0) < micro_batches) {
    if (order.forwards(0) < micro_batches) {
      order.forward(0);
    }
    order.input_gradient(0).weight_gradient(0).forward(1).input_gradient(1).weight_gradient(1);
  }
  for (std::int32_t i = 0; i < stage; ++i) {
    order.input_gradient(0).input_gradient(1);
  }
  for (std::int32_t i = 0; i < stages - stage; ++i) {
    order.input_gradient(0).weight_gradient(0);
  }
  for (const std::int32_t chunk : {1, 0}) {
    while (order.weight_gradients(chunk) < order.input_gradients(chunk)) {
      order.weight_gradient(chunk);
    }
  }
  return order.take();
}

}  // namespace

std::vector<PassOrder> zb_v(const ScheduleShape& shape) {
  std::vector<PassOrder> orders;
  // The order needs 2 p - 1 micro-batches; of fewer, those that are not there are left out.
  const std::int32_t planned = std::max(2 * shape.stages - 1, shape.micro_batches);
  for (std::int32_t stage = 0; stage < shape.stages; ++stage) {
    PassOrder& order = orders.emplace_back(order_of(shape.stages, planned, stage));
    std::erase_if(order, [&](const StagePass& pass) { return pass.micro_batch >= shape.micro_batches; });
  }
  return orders;
}

}  // namespace trainyard
