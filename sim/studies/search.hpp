#pragma once
// Which layout trains fastest: every legal one by formula, the best of those that fit simulated.
#include "sim/studies/screening.hpp"

namespace trainyard {

// A layout that was looked at. `step` is the formula's; `simulated` the simulation's where there was one.
struct SearchedLayout {
  LayoutChoice choice;
  Seconds step{};
  std::optional<Seconds> simulated;
  double mfu = 0.0;  // of simulated ones
  Bytes memory{};
  bool fits = false;

  Seconds best_known() const { return simulated.value_or(step); }
};

struct SearchResult {
  std::vector<SearchedLayout> layouts;  // simulated ones first, fastest first; then by the formula
  std::vector<std::size_t> front;       // of layouts that fit: none is both faster and smaller; fastest first
  Bytes capacity{};                     // of the smallest GPU
  Seconds screening{};                  // wall time of the formula over all layouts, memory included
};

// Degrees of tensor parallelism that divide the heads and stay within a node, pipeline depths up to the layers, chunks
// that divide the layers evenly, micro-batches up to 8 and as large as the batch allows, every recomputation, with and
// without a sharded optimizer.
std::vector<LayoutChoice> legal_layouts(const Scenario& job);

// The layout and the split of the batch that `job` names are replaced. Simulates the `simulated` best of those
// that fit, in children.
SearchResult search_layouts(const Scenario& job, std::size_t simulated);

}  // namespace trainyard
