#pragma once
// Memory of many layouts of one job, the same as estimate_memory() gives for each. What layouts share is worked out
// once: the stages of a split, the moments of a schedule that can be the fullest, and what a pass of a chunk holds.
#include <cstdint>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/layout/layout.hpp"
#include "sim/memory/fullest_moments.hpp"
#include "sim/memory/holdings.hpp"
#include "sim/studies/layout_choice.hpp"

namespace trainyard {

class MemoryScreen {
 public:
  // Whether a layout fits, and what the fullest stage holds. `scenario` is the job with the choice made.
  struct Need {
    Bytes peak{};
    bool fits = false;
  };
  Need need(const Scenario& scenario, const LayoutChoice& choice);
  // Of stages and shares alone: its micro-batch is that of whoever asked last.
  const Layout& layout(const Scenario& scenario, const LayoutChoice& choice) { return split(scenario, choice).layout; }

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
  // What is remembered is found by the whole choice but for what it is known not to depend on.
  Split& split(const Scenario& scenario, const LayoutChoice& choice);
  const ChunkHoldings& holdings(const Scenario& scenario, const LayoutChoice& choice, const Split& split,
                                std::size_t shape);
  const std::vector<Candidate>& candidates(const Scenario& scenario, const LayoutChoice& choice, const Split& split);
  Bytes peak(const Scenario& scenario, const LayoutChoice& choice);

  std::map<LayoutChoice, Split> splits_;
  std::map<std::pair<LayoutChoice, std::int64_t>, std::vector<Candidate>> candidates_;  // by micro-batches too
  std::map<LayoutChoice, std::map<ChunkShape, ChunkHoldings>> holdings_;
};

}  // namespace trainyard
