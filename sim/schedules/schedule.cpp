#include "sim/schedules/schedule.hpp"

#include <algorithm>
#include <array>

#include "sim/base/error.hpp"
#include "sim/schedules/posted_messages.hpp"

namespace trainyard {
namespace {

struct Row {
  ScheduleTraits traits;
  std::vector<PassOrder> (*orders)(const ScheduleShape&);
  StageActionList (*exchanges)(const ScheduleShape&, std::int32_t) = nullptr;  // none: messages are posted
};

constexpr std::int64_t kAnyChunks = 1'000'000;

// clang-format off
constexpr std::array<Row, kScheduleNames.rows.size()> kSchedules = {{
    {{ScheduleName::kGpipe, Placement::kLooped, 1, 1,
      "all forward passes, then all backward passes (arXiv 1811.06965)"},
     gpipe, gpipe_exchanges},
    {{ScheduleName::kOneFOneB, Placement::kLooped, 1, 1,
      "one forward, one backward after a warm-up; activations of at most pp micro-batches (arXiv 2006.09503)",
      JoinedPasses::kOnOneStage},
     one_f_one_b, one_f_one_b_exchanges},
    {{ScheduleName::kInterleaved, Placement::kLooped, 2, kAnyChunks,
      "1f1b over vpp model chunks per stage: smaller bubble, more messages (arXiv 2104.04473)",
      JoinedPasses::kEverywhere, SteadyState::kRepeats, Grouping::kGroups},
     interleaved_one_f_one_b, interleaved_exchanges},
    {{ScheduleName::kBreadthFirst, Placement::kLooped, 2, kAnyChunks,
      "gpipe over vpp chunks: all micro-batches through a chunk before the next (arXiv 2211.05953)",
      JoinedPasses::kNowhere, SteadyState::kPilesUp},
     breadth_first},
    {{ScheduleName::kLoopedBfs, Placement::kLooped, 2, kAnyChunks,
      "breadth-first as PyTorch runs it: backward passes take the micro-batches in reverse",
      JoinedPasses::kNowhere, SteadyState::kPilesUp},
     looped_bfs},
    {{ScheduleName::kZbH1, Placement::kLooped, 1, 1,
      "1f1b with wgrad put off into the bubble: a third of its bubble, its memory (arXiv 2401.10241)"},
     zb_h1},
    {{ScheduleName::kZbH2, Placement::kLooped, 1, 1,
      "zb-h1 with a longer warm-up: no bubble within a stage, activations of 2 pp - 1 micro-batches (arXiv 2401.10241)"},
     zb_h2},
    {{ScheduleName::kZbV, Placement::kV, 2, 2,
      "two chunks per stage in a V, split backward: no bubble within a stage, the memory of 1f1b (arXiv 2405.15362)"},
     zb_v},
    {{ScheduleName::kVHalf, Placement::kV, 2, 2,
      "two chunks per stage in a V: half the activations of 1f1b, half its bubble (arXiv 2405.15362)"},
     v_half},
    {{ScheduleName::kVMin, Placement::kV, 2, 2,
      "two chunks per stage in a V: a third of the activations of 1f1b, two thirds of its bubble (arXiv 2405.15362)"},
     v_min},
    {{ScheduleName::kDualPipe, Placement::kBidirectional, 2, 2,
      "micro-batches from both ends through two replicas, forward joined with backward (arXiv 2412.19437)",
      JoinedPasses::kEverywhere, SteadyState::kRepeats, Grouping::kNone, 2},
     dualpipe},
    {{ScheduleName::kDualPipeV, Placement::kV, 2, 2,
      "DualPipe cut in half: two chunks per stage in a V instead of two replicas (DeepSeek DualPipe)",
      JoinedPasses::kEverywhere, SteadyState::kRepeats, Grouping::kNone, 2},
     dualpipe_v},
    {{ScheduleName::kLayerSplit, Placement::kLooped, 1, 1,
      "one micro-batch at a time, forward and backward through all stages, as .to(device) in a module (device_map)"},
     layer_split, layer_split_exchanges},
}};
static_assert(kSchedules.back().traits.name == kScheduleNames.rows.back().second);
// clang-format on

const Row& row_of(ScheduleName name) {
  const auto* row =
      std::find_if(kSchedules.begin(), kSchedules.end(), [&](const Row& r) { return r.traits.name == name; });
  TY_ASSERT(row != kSchedules.end());
  return *row;
}

bool overlaps(PipelineExchange exchange) {
  return exchange == PipelineExchange::kOverlapped || exchange == PipelineExchange::kOverlappedThroughout;
}

}  // namespace

const ScheduleTraits& schedule_traits(ScheduleName name) {
  return row_of(name).traits;
}

std::vector<PassOrder> pass_orders(ScheduleName name, const ScheduleShape& shape) {
  return row_of(name).orders(shape);
}

std::vector<StageActionList> schedule_actions(ScheduleName name, const ScheduleShape& shape,
                                              PipelineExchange exchange) {
  const Row& row = row_of(name);
  if (row.exchanges == nullptr || overlaps(exchange)) {
    return post_messages(row.orders(shape), shape, exchange);
  }
  std::vector<StageActionList> actions;
  for (std::int32_t stage = 0; stage < shape.stages; ++stage) {
    actions.push_back(row.exchanges(shape, stage));
  }
  return actions;
}

InFlight most_in_flight(const PassOrder& order, double weights_share) {
  InFlight now;
  InFlight most;
  const auto held = [&](const InFlight& passes) { return passes.whole + weights_share * passes.for_weights; };
  for (const StagePass& pass : order) {
    switch (pass.kind) {
      case PassKind::kForward:
        ++now.whole;
        break;
      case PassKind::kBackward:
        --now.whole;
        break;
      case PassKind::kInputGradient:
        --now.whole;
        ++now.for_weights;
        break;
      case PassKind::kWeightGradient:
        --now.for_weights;
        break;
    }
    if (held(now) > held(most)) {
      most = now;
    }
  }
  return most;
}

}  // namespace trainyard
