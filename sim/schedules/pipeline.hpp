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
  kLayerSplit,
  kTable  // the user's own, read from a text table
};
inline constexpr NameTable<ScheduleName, 13> kScheduleNames{{{{"gpipe", ScheduleName::kGpipe},
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
                                                              {"dualpipe-v", ScheduleName::kDualPipeV},
                                                              {"layer-split", ScheduleName::kLayerSplit}}}};

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
  std::int64_t fewest_per_stage = 0;  // micro-batches of the step, as a multiple of the stages

  // Two replicas share out micro-batches, and each stage is the other end's as well: even numbers of both.
  bool needs_even() const { return placement == Placement::kBidirectional; }
};

// Backward either gives the gradients of inputs and weights in one pass, or is split into two (dgrad and wgrad).
enum class PassKind : std::int8_t { kForward, kBackward, kInputGradient, kWeightGradient };
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

// How stages exchange tensors.
enum class PipelineExchange {
  kBatchedSync,           // one batched send/receive, then the host waits for the device (Megatron without p2p overlap)
  kBatched,               // one batched send/receive, ordered by streams only
  kOverlapped,            // each message by itself, received beside a pass in the steady phase only
  kOverlappedThroughout,  // in warm-up and flush too (Megatron's overlap_p2p_comm_warmup_flush)
  // Tensors one after another, each announced by messages that both hosts wait for (shape and stride as nanotron sends
  // them). Source: nanotron, parallel/pipeline_parallel/p2p.py, _send_meta and _recv_meta.
  kAnnounced
};
inline constexpr NameTable<PipelineExchange, 5> kExchangeNames{
    {{{"batched-sync", PipelineExchange::kBatchedSync},
      {"batched", PipelineExchange::kBatched},
      {"overlapped", PipelineExchange::kOverlapped},
      {"overlapped-warmup-flush", PipelineExchange::kOverlappedThroughout},
      {"announced", PipelineExchange::kAnnounced}}}};

}  // namespace trainyard
