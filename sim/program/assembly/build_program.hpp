#pragma once
// Layout -> Program: every stage's passes, exchanges, gradient reduction and optimizer step as operations on streams.
#include <span>

#include "kernels/kernel_costs.hpp"
#include "sim/layout/layout.hpp"
#include "sim/program/program.hpp"

namespace trainyard {

// One rank class per pipeline stage: tensor-, context- and data-parallel ranks of a stage execute the same list. Where
// experts get unequal numbers of tokens, a stage with experts has one class per expert-parallel coordinate; where a
// stage's ranks have different GPUs, one per kind of GPU. `costs` are those of the kinds, Scenario::different_gpus().
Program build_program(const Scenario& scenario, const Layout& layout, std::span<const KernelCosts* const> costs);
// Where all GPUs are alike.
Program build_program(const Scenario& scenario, const Layout& layout, const KernelCosts& costs);

}  // namespace trainyard
