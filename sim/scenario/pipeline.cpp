#include "sim/scenario/pipeline.hpp"

#include <algorithm>
#include <array>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

constexpr std::int64_t kAnyChunks = 1'000'000;

// clang-format off
constexpr std::array<ScheduleTraits, 12> kTraits = {{
    {ScheduleName::kGpipe, Placement::kLooped, 1, 1,
     "all forward passes, then all backward passes (arXiv 1811.06965)"},
    {ScheduleName::kOneFOneB, Placement::kLooped, 1, 1,
     "one forward, one backward after a warm-up; activations of at most pp micro-batches (arXiv 2006.09503)",
     JoinedPasses::kOnOneStage},
    {ScheduleName::kInterleaved, Placement::kLooped, 2, kAnyChunks,
     "1f1b over vpp model chunks per stage: smaller bubble, more messages (arXiv 2104.04473)",
     JoinedPasses::kEverywhere, SteadyState::kRepeats, Grouping::kGroups},
    {ScheduleName::kBreadthFirst, Placement::kLooped, 2, kAnyChunks,
     "gpipe over vpp chunks: all micro-batches through a chunk before the next (arXiv 2211.05953)",
     JoinedPasses::kNowhere, SteadyState::kPilesUp},
    {ScheduleName::kLoopedBfs, Placement::kLooped, 2, kAnyChunks,
     "breadth-first as PyTorch runs it: backward passes take the micro-batches in reverse",
     JoinedPasses::kNowhere, SteadyState::kPilesUp},
    {ScheduleName::kZbH1, Placement::kLooped, 1, 1,
     "1f1b with wgrad put off into the bubble: a third of its bubble, its memory (arXiv 2401.10241)"},
    {ScheduleName::kZbH2, Placement::kLooped, 1, 1,
     "zb-h1 with a longer warm-up: no bubble within a stage, activations of 2 pp - 1 micro-batches (arXiv 2401.10241)"},
    {ScheduleName::kZbV, Placement::kV, 2, 2,
     "two chunks per stage in a V, split backward: no bubble within a stage, the memory of 1f1b (arXiv 2405.15362)"},
    {ScheduleName::kVHalf, Placement::kV, 2, 2,
     "two chunks per stage in a V: half the activations of 1f1b, half its bubble (arXiv 2405.15362)"},
    {ScheduleName::kVMin, Placement::kV, 2, 2,
     "two chunks per stage in a V: a third of the activations of 1f1b, two thirds of its bubble (arXiv 2405.15362)"},
    {ScheduleName::kDualPipe, Placement::kBidirectional, 2, 2,
     "micro-batches from both ends through two replicas, forward joined with backward (arXiv 2412.19437)",
     JoinedPasses::kEverywhere},
    {ScheduleName::kDualPipeV, Placement::kV, 2, 2,
     "DualPipe cut in half: two chunks per stage in a V instead of two replicas (DeepSeek DualPipe)",
     JoinedPasses::kEverywhere},
}};
// clang-format on

}  // namespace

const ScheduleTraits& schedule_traits(ScheduleName name) {
  const auto* found =
      std::find_if(kTraits.begin(), kTraits.end(), [name](const ScheduleTraits& t) { return t.name == name; });
  TY_ASSERT(found != kTraits.end());
  return *found;
}

}  // namespace trainyard
