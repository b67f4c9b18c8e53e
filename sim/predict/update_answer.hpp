#pragma once
// A job whose workers meet over many updates: one worker simulated as any job is, then all of them (sim/updates).
#include "sim/predict/predict.hpp"
#include "sim/updates/update_job.hpp"

namespace trainyard {

// All workers, of which one alone has `report`; the optimizer's part of its step is left out where servers update.
UpdateJob update_job_of(const Scenario& scenario, const Report& report);

// The step of the report is the time in which the workers add as many samples to the parameters as a global batch has;
// its breakdown is an average over workers, with what they transfer as exposed_dp and what they wait as bubble. Throws
// UserError where the modes ask for what is not there, with the keys of "strategy".
Answer update_answer(const Scenario& scenario);

}  // namespace trainyard
