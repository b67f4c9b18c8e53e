#pragma once
// Which layout trains fastest: every legal one by formula, the best of those that fit simulated.
#include <optional>
#include <string>
#include <vector>

#include "sim/studies/screening.hpp"

namespace trainyard {

// A legal layout that was looked at. `step` is the formula's; `simulated` the simulation's where there was one.
struct SearchedLayout {
  LayoutChoice choice;
  Seconds step{};
  std::optional<Seconds> simulated;
  double mfu = 0.0;  // of simulated ones
  Bytes memory{};    // of the fullest stage, as `run` gives it
  bool fits = false;

  Seconds best_known() const { return simulated.value_or(step); }
};

// Why layouts were left out: as the check or the simulation of the first of them said it, and of how many.
struct LeftOut {
  std::string reason;
  std::string example;  // what was found in the first
  std::size_t layouts = 0;
};

struct SearchResult {
  std::vector<SearchedLayout> layouts;  // simulated ones first, fastest first; then by the formula
  // Of layouts that fit: none is both faster and smaller. Simulated ones, fastest first; then by the formula those that
  // are smaller than all simulated ones.
  std::vector<std::size_t> front;
  std::vector<LeftOut> illegal;  // candidates that `run` would refuse
  std::vector<LeftOut> failed;   // layouts that could not be simulated; they are not among `layouts`
  Bytes capacity{};              // of the smallest GPU
  Seconds screening{};           // wall time of the formula over all layouts, memory included
};

// Simulates the `simulated` fastest by formula of the layouts that fit, in children. One that cannot be simulated is
// left out and replaced by the next.
SearchResult search_layouts(const OpenJob& job, std::size_t simulated);

}  // namespace trainyard
