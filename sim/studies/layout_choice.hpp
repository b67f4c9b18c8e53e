#pragma once
// A job whose layout is open. What its document states holds; everything else that distinguishes layouts is chosen, and
// a choice becomes a scenario in one way only: its keys are set in the document, which is then read and checked as a
// user's would be.
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/scenario/scenario.hpp"

namespace trainyard {

// What distinguishes layouts of one job.
struct LayoutChoice {
  std::int64_t tp = 1;
  std::int64_t pp = 1;
  std::int64_t vpp = 1;
  std::int64_t cp = 1;
  std::int64_t ep = 1;
  std::int64_t etp = 1;
  std::int64_t dp = 1;
  EndPlacement embedding = EndPlacement::kWithLayers;
  EndPlacement loss = EndPlacement::kWithLayers;
  std::int64_t micro_batch = 1;
  Recompute recompute = Recompute::kNone;
  std::vector<RecomputeModule> recompute_modules;  // of selective recomputation; none: core attention
  int zero_stage = 0;
  auto operator<=>(const LayoutChoice&) const = default;
};

// A key of a scenario and what it is set to.
struct KeyValue {
  std::string path;  // "layout.tp"
  Json value;
};

class OpenJob {
 public:
  // Throws UserError (exit code 2) where `document` is no job: unknown names, values of the wrong kind.
  OpenJob(Json document, std::string file);

  // The job with the layout that the document states, read but not checked: with defaults for what is not stated it
  // may be no whole one. The size of its batch is that of all layouts.
  const Scenario& stated() const { return job_; }
  bool states(std::string_view path) const;

  // What a choice sets: every key that the document does not state.
  std::vector<KeyValue> keys_of(const LayoutChoice& choice) const;
  // Throws UserError where the layout is not legal.
  Scenario scenario(const LayoutChoice& choice) const;
  // Why the choice's step cannot be split into micro-batches, if it cannot: what scenario() would throw, a hundred
  // times sooner.
  std::optional<Fault> refused_batch(const LayoutChoice& choice) const;
  // scenario() without what is said about it (`resolved`, notes on idle keys), for pricing many of them.
  Scenario laid_out(const LayoutChoice& choice) const;

 private:
  Json document(const LayoutChoice& choice) const;

  Json document_;
  std::string file_;
  Scenario job_;
};

// Layouts worth looking at, each once; whether they are legal OpenJob::scenario() says. What is not stated is tried:
// tp over the divisors of the GPUs within a node, pp over those of what remains up to the layers, ep over the divisors
// of the experts and etp 1 or tp, cp 1, micro-batches of 1 to 8, every recomputation (selective: what core attention
// keeps, or, where fused attention keeps nothing, norms and activations), every ZeRO stage of the data-parallel
// strategy (one where nothing is shared out). Chunks per stage are those that make all chunks equal, with embedding and
// loss counted as layers where that is needed (94 layers as 96); where none do, one number for every size that the
// largest chunk may have.
std::vector<LayoutChoice> candidate_layouts(const OpenJob& job);

}  // namespace trainyard
