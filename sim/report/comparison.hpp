#pragma once
// Results beside one another: which is fastest, and where the seconds of the others went.
#include <string>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "sim/base/quantity.hpp"

namespace trainyard {

// One finished run: its name for people and its result (the contract of result_json).
struct ComparedRun {
  std::string name;
  Json result;
};

// One figure of two runs: a term of the breakdown, an operation of the critical path, a term of memory.
struct Difference {
  std::string name;
  double fastest = 0.0;  // seconds, or bytes, of the fastest run
  double other = 0.0;    // of the run that it is compared with
  double difference() const { return other - fastest; }
};

// A value of the scenario that two runs do not share, as JSON text; "-" where one has no such key.
struct ScenarioDifference {
  std::string pointer;
  std::string fastest;
  std::string other;
};

// Why one run is slower than the fastest. Every list is ranked by size of the difference, largest first, and leaves out
// what does not differ.
struct Explanation {
  std::size_t run = 0;  // index of the slower run
  Seconds slower_by{};
  std::vector<ScenarioDifference> scenario;  // in the scenario's own order
  std::vector<Difference> breakdown;         // seconds; they sum to slower_by
  std::vector<Difference> critical_path;     // seconds by operation, over all ranks; they sum to slower_by
  std::vector<Difference> memory;            // bytes of the fullest stage
};

struct Comparison {
  std::vector<ComparedRun> runs;  // as given
  std::size_t fastest = 0;
  std::vector<Explanation> explanations;  // of all runs but the fastest, as given
};

// The stage of a result whose memory is the most.
const Json& fullest_stage(const Json& result);

// At least two runs.
Comparison compare_runs(std::vector<ComparedRun> runs);

std::string comparison_text(const Comparison& comparison);
Json comparison_json(const Comparison& comparison);

}  // namespace trainyard
