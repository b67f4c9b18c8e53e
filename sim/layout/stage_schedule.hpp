#pragma once
// The schedule of a scenario: one of the catalogue's, or the user's own table.
#include <vector>

#include "sim/scenario/scenario.hpp"
#include "sim/schedules/schedule.hpp"

namespace trainyard {

ScheduleShape schedule_shape(const Scenario& scenario);

// As the functions of the same names in sim/schedules. Throw UserError where a step has more passes than can be
// simulated (sim/base/effort.hpp).
std::vector<PassOrder> pass_orders(const Scenario& scenario);
std::vector<StageActionList> schedule_actions(const Scenario& scenario);

}  // namespace trainyard
