#pragma once
// The one way in which passes take memory and give it back: whoever counts, by the schedule's order alone or at the
// times of a timeline, replays it here.
#include <cstddef>

#include "sim/schedules/schedule.hpp"

namespace trainyard {

// Where within a pass something is taken or given back: with its first kernel, or with its last.
enum class PassEdge { kStart, kEnd };

// Tells a meter what happens when the passes of a stage run in their order, and `note` after each of it: which pass of
// the order, at which of its edges.
template <class Meter, class Note>
void replay(const PassOrder& order, Meter& meter, const Note& note) {
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto chunk = static_cast<std::size_t>(order[i].chunk);
    switch (order[i].kind) {
      case PassKind::kForward:
        meter.begin_forward(chunk);
        note(i, PassEdge::kStart);
        continue;
      case PassKind::kInputGradient:
        meter.begin_backward(chunk);
        note(i, PassEdge::kStart);
        meter.end_input_gradient(chunk);
        note(i, PassEdge::kEnd);
        continue;
      case PassKind::kWeightGradient:
        meter.end_weight_gradient(chunk);
        break;
      case PassKind::kBackward:
        meter.begin_backward(chunk);
        note(i, PassEdge::kStart);
        meter.end_backward(chunk);
        break;
    }
    note(i, PassEdge::kEnd);
    meter.release_gradients();
    note(i, PassEdge::kEnd);
  }
}

template <class Meter>
void replay(const PassOrder& order, Meter& meter) {
  replay(order, meter, [](std::size_t, PassEdge) {});
}

}  // namespace trainyard
