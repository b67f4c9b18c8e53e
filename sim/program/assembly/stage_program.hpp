#pragma once
// The program of one pipeline stage.
#include <cstdint>

#include "sim/program/communicators.hpp"
#include "sim/program/rank_builder.hpp"
#include "sim/program/stage_work.hpp"
#include "sim/schedules/schedule.hpp"

namespace trainyard {

RankProgram build_stage_program(const Scenario& scenario, const Layout& layout, const PricedModel& model,
                                const KernelCosts& costs, std::int32_t stage, const StageActionList& actions,
                                Communicators& communicators, NameIndex& names);

}  // namespace trainyard
