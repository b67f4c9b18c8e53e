#pragma once
// Where the timeline of a longer step is that of a shorter one with operations inserted. Every rank's program falls
// into stretches: the first keeps its times, each following one is later by as much as was inserted before it.
#include <cstddef>
#include <optional>
#include <vector>

#include "sim/engine/timeline.hpp"
#include "sim/program/program.hpp"

namespace trainyard {

// On one rank. What is inserted repeats what comes before it: it does the work of the operations in front of `at`,
// later by `later`.
struct Insertion {
  std::size_t at = 0;    // an operation of the shorter step
  std::size_t more = 0;  // operations that are inserted in front of it
  double later = 0.0;    // seconds by which what follows is later, all insertions so far together
  // Seconds of the shorter step between which everything that runs may as well belong to what is inserted: it does in
  // the longer step what it does in the shorter one, at its time and again `more` operations further on.
  double from = 0.0;
  double until = 0.0;
};

// The insertions of one rank in their order, or nothing where the longer step does something else. `rounding`: seconds
// by which equal times may differ.
std::optional<std::vector<Insertion>> insertions(const RankProgram& shorter_program, const RankTimeline& shorter,
                                                 const RankProgram& longer_program, const RankTimeline& longer,
                                                 double rounding);

// Whether every rank has the same insertions at the same moments: there is one moment for each at which the periods are
// inserted into the whole machine.
bool meet(const std::vector<std::vector<Insertion>>& of_ranks, double rounding);

}  // namespace trainyard
