#pragma once
// Memory of the fullest stage of many layouts of one job, the same as estimate_memory() gives for each. What layouts
// share is worked out once: the stages of a split, the moments of a schedule that can be the fullest, and what a pass
// of a chunk holds.
#include <array>
#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "sim/layout/layout.hpp"
#include "sim/program/memory_estimate.hpp"

namespace trainyard {

class MemoryScreen {
 public:
  // `job` names the layout of the moment: its 1F1B or interleaved schedule, no user's table.
  Bytes peak(const Scenario& job);
  const Layout& layout(const Scenario& job) { return split(job).layout; }

 private:
  // How many layers of which kinds, and the model's ends: chunks alike in these hold the same.
  using ChunkShape = std::tuple<std::int64_t, std::int64_t, Holds, Holds>;
  // A way to cut the model over ranks.
  struct Split {
    Layout layout;                // its micro-batch is that of whoever asked last
    std::vector<Chunk> chunks{};  // one of every shape
    std::vector<ChunkShape> keys{};
    // Of every stage: the shapes it has, as numbers of `chunks`, and which of these each of its chunks is.
    std::vector<std::vector<std::size_t>> shapes{};
    std::vector<std::vector<std::size_t>> counted_as{};
  };
  // A stage that can be the fullest, and when.
  struct Candidate {
    std::size_t stage = 0;
    std::vector<PassesUnderWay> moments;
  };
  using SplitKey = std::array<std::int64_t, 3>;     // tp, pp, vpp
  using MomentsKey = std::array<std::int64_t, 3>;   // pp, vpp, micro-batches
  using HoldingsKey = std::array<std::int64_t, 3>;  // tp, micro-batch, recomputation

  Split& split(const Scenario& job);
  const ChunkHoldings& holdings(const Scenario& job, const Split& split, std::size_t shape);
  const std::vector<Candidate>& candidates(const Scenario& job, const Split& split);

  std::map<SplitKey, Split> splits_;
  std::map<MomentsKey, std::vector<Candidate>> candidates_;
  std::map<HoldingsKey, std::map<ChunkShape, ChunkHoldings>> holdings_;
};

}  // namespace trainyard
