// Non-interleaved 1F1B in Megatron's order (arXiv 2104.04473 section 2.2.1;
// megatron/core/pipeline_parallel/schedules.py): warm-up forwards, then one forward and one backward in turn with fused
// exchanges between them, then the remaining backwards.
#include <algorithm>

#include "sim/schedules/one_forward_one_backward.hpp"
#include "sim/schedules/schedule.hpp"
#include "sim/schedules/stage_actions.hpp"

namespace trainyard {

namespace {

// Of a single stage, whose forward passes depend on no other stage.
PassOrder joined_pairs(std::int32_t micro_batches) {
  PassOrder order = one_forward_one_backward(micro_batches, 1, PassKind::kBackward);
  for (std::size_t i = 1; i + 1 < order.size(); ++i) {
    if (order[i].kind == PassKind::kForward) {
      order[i].joined = Joined::kWithNext;
    }
  }
  return order;
}

}  // namespace

std::vector<PassOrder> one_f_one_b(const ScheduleShape& shape) {
  if (shape.stages == 1 && shape.pairs == Pairs::kJoined) {
    return {joined_pairs(shape.micro_batches)};
  }
  std::vector<PassOrder> orders;
  for (std::int32_t stage = 0; stage < shape.stages; ++stage) {
    orders.push_back(one_forward_one_backward(shape.micro_batches, shape.stages - stage - 1, PassKind::kBackward));
  }
  return orders;
}

StageActionList one_f_one_b_exchanges(const ScheduleShape& shape, std::int32_t stage) {
  const std::int32_t warm_up = std::min(shape.stages - stage - 1, shape.micro_batches);
  const std::int32_t steady = shape.micro_batches - warm_up;
  StageActions actions(shape, stage);
  if (shape.stages == 1 && shape.pairs == Pairs::kJoined) {
    for (const StagePass& pass : joined_pairs(shape.micro_batches)) {
      pass.kind == PassKind::kForward ? actions.forward(pass.micro_batch, 0, pass.joined)
                                      : actions.backward(pass.micro_batch, 0);
    }
    return actions.take();
  }
  for (std::int32_t m = 0; m < warm_up; ++m) {
    actions.forward_alone(m, 0);
  }
  if (steady > 0) {
    actions.receive_forward(warm_up, 0);
    actions.exchange();
  }
  for (std::int32_t i = 0; i < steady; ++i) {
    actions.forward(warm_up + i, 0);
    actions.send_forward(warm_up + i, 0);
    actions.receive_backward(i, 0);
    actions.exchange();
    actions.backward(i, 0);
    actions.send_backward(i, 0);
    if (i + 1 < steady) {
      actions.receive_forward(warm_up + i + 1, 0);
    }
    actions.exchange();
  }
  for (std::int32_t m = steady; m < shape.micro_batches; ++m) {
    actions.backward_alone(m, 0);
  }
  return actions.take();
}

}  // namespace trainyard
