#pragma once
// What would be simulated, in words and as JSON (SI units, names carry the unit): the simulator explains a question.
#include <cstddef>
#include <span>
#include <string>

#include "kernels/kernel_costs.hpp"
#include "sim/layout/layout.hpp"
#include "sim/program/program.hpp"
#include "sim/scenario/scenario.hpp"

namespace trainyard {

// Ranks, process groups and stages: of every kind of group how many there are and the first of them, of every stage
// its layers and one rank's parameters.
std::string layout_text(const Scenario& scenario, const Layout& layout);
// The same with every group.
Json layout_json(const Scenario& scenario, const Layout& layout);

// How much of a program is told to people.
enum class Detail { kBrief, kFull };

// The operators of the model's parts with their shapes, FLOPs or bytes and times, and the operations of a step of every
// rank class: equal ones once with their count, and classes that do the same once. Brief: parts by their sums.
// `costs` are those of Scenario::different_gpus(), as of build_program.
std::string program_text(const Scenario& scenario, const Layout& layout, const Program& program,
                         std::span<const KernelCosts* const> costs, Detail detail);
Json program_json(const Scenario& scenario, const Layout& layout, const Program& program,
                  std::span<const KernelCosts* const> costs);

}  // namespace trainyard
