#pragma once
// What `run` answers: of a job of one step that step's report, of a job whose workers meet over many updates one worker
// simulated as any job is, then all of them (sim/updates).
#include "sim/predict/predict.hpp"
#include "sim/updates/update_job.hpp"

namespace trainyard {

// All workers, of which one alone has `report`; the optimizer's part of its step is left out where servers update.
UpdateJob update_job_of(const Scenario& scenario, const Report& report);

// As answer_step(), or with a strategy of many updates a report whose step is the time in which the workers add as many
// samples to the parameters as a global batch has; its breakdown is an average over workers, with what they transfer as
// exposed_dp and what they wait as bubble. Throws UserError where a mode asks for what is not there, with the key of
// "strategy".
Answer answer(const Scenario& scenario);

}  // namespace trainyard
