#pragma once
// Words of pipeline parallelism: which schedules there are, where they place model chunks, and the passes they order.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/name_table.hpp"

namespace trainyard {

enum class ScheduleName {
  kGpipe,
  kOneFOneB,
  kInterleaved,
  kBreadthFirst,
  kLoopedBfs,
  kZbH1,
  kZbH2,
  kZbV,
  kVHalf,
  kVMin,
  kDualPipe,
  kDualPipeV,
  kTable  // the user's own, read from a text table
};
inline constexpr NameTable<ScheduleName, 12> kScheduleNames{{{{"gpipe", ScheduleName::kGpipe},
                                                              {"1f1b", ScheduleName::kOneFOneB},
                                                              {"interleaved", ScheduleName::kInterleaved},
                                                              {"breadth-first", ScheduleName::kBreadthFirst},
                                                              {"looped-bfs", ScheduleName::kLoopedBfs},
                                                              {"zb-h1", ScheduleName::kZbH1},
                                                              {"zb-h2", ScheduleName::kZbH2},
                                                              {"zb-v", ScheduleName::kZbV},
                                                              {"v-half", ScheduleName::kVHalf},
                                                              {"v-min", ScheduleName::kVMin},
                                                              {"dualpipe", ScheduleName::kDualPipe},
                                                              {"dualpipe-v", ScheduleName::kDualPipeV}}}};

// Where model chunks stand. With p stages, chunk c of stage s is
enum class Placement {
  kLooped,        // model chunk c * p + s
  kV,             // model chunk s (c = 0) or 2 p - 1 - s (c = 1): down the stages and up again
  kBidirectional  // of two replicas of a model of p chunks: chunk s of the first, chunk p - 1 - s of the second
};
inline constexpr NameTable<Placement, 3> kPlacementNames{
    {{{"looped", Placement::kLooped}, {"v", Placement::kV}, {"bidirectional", Placement::kBidirectional}}}};

// Where a forward pass may run as one with the backward pass of another micro-batch.
enum class JoinedPasses { kNowhere, kOnOneStage, kEverywhere };
// Whether the order repeats itself, or sends pile up: where every micro-batch passes a chunk before any passes the
// next, what a stage sends waits until the stage it goes to has come to that chunk, and what waits becomes more with
// every micro-batch.
enum class SteadyState { kRepeats, kPilesUp };
// Whether micro-batches visit a chunk in groups (micro_batch_group).
enum class Grouping { kNone, kGroups };

// What a schedule demands, how it behaves, and how it is told to a person.
struct ScheduleTraits {
  ScheduleName name;
  Placement placement;
  std::int64_t fewest_chunks;  // per stage
  std::int64_t most_chunks;
  std::string_view description;
  JoinedPasses joined = JoinedPasses::kNowhere;
  SteadyState steady = SteadyState::kRepeats;
  Grouping grouping = Grouping::kNone;
};
// Of a schedule of the catalogue, not of kTable.
const ScheduleTraits& schedule_traits(ScheduleName name);

// Backward either gives the gradients of inputs and weights in one pass, or is split into two (dgrad and wgrad).
enum class PassKind { kForward, kBackward, kInputGradient, kWeightGradient };
enum class Joined { kNo, kWithNext };

// One micro-batch through one chunk of a stage.
struct StagePass {
  PassKind kind = PassKind::kForward;
  std::int32_t micro_batch = 0;
  std::int32_t chunk = 0;
  // The pass and the next one run as one: both wait for both inputs, and both outputs are sent at their end.
  Joined joined = Joined::kNo;
  auto operator<=>(const StagePass&) const = default;
};
using PassOrder = std::vector<StagePass>;

// A user's schedule: what every stage does, in order.
struct ScheduleTable {
  std::string file;
  Placement placement = Placement::kLooped;
  std::int64_t chunks = 1;         // per stage: one more than the largest named
  std::int64_t micro_batches = 1;  // likewise
  std::vector<PassOrder> rows;
};

// Reads a table: an optional line `placement looped|v|bidirectional`, then one line per stage of cells F, B or W,
// a micro-batch from 0 and, beyond chunk 0, `.` and a chunk: `F0 F1.1 B0 W0`. `-` stands for nothing, `#` begins a
// comment. Where a W follows, B is the gradient of the inputs alone. Throws UserError naming line and column when a
// cell is not one, a pass is missing or stands twice, or stands before what it needs on its own stage.
ScheduleTable parse_schedule_table(std::string_view text, const std::string& file);

}  // namespace trainyard
