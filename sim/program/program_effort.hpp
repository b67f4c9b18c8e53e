#pragma once
// How many operations a program will have and how many of them will be simulated, from the priced model, before either
// is made.
#include <span>
#include <vector>

#include "sim/base/effort.hpp"
#include "sim/layout/layout.hpp"
#include "sim/program/stage_work.hpp"
#include "sim/scenario/scenario.hpp"

namespace trainyard {

// Operations of one rank of a stage in a whole step: the steps of every micro-batch's passes, and the collectives of
// the strategy of data parallelism, whose number follows from the size of its buckets.
double expected_operations(const Scenario& scenario, const Layout& layout, const PricedModel& model, std::size_t stage);

// Whether no two ranks are alike for certain: folding is off, or everybody draws times of their own. (Where GPUs differ
// in part or links are contended folding finds out, and the engine counts again.)
bool simulates_every_rank(const Scenario& scenario);

// Ranks of one kind have one program; `model` is priced for them.
struct RanksOfKind {
  const PricedModel* model = nullptr;
  std::size_t stage = 0;
  std::size_t ranks = 0;
};
// Throws UserError when building and simulating the program takes more than is allowed.
void require_program_effort(const Scenario& scenario, const Layout& layout, std::span<const RanksOfKind> kinds);

}  // namespace trainyard
