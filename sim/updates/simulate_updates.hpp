#pragma once
// Many updates of data-parallel workers, one after another. README.md has the model and its sources.
#include "sim/updates/update_job.hpp"
#include "sim/updates/update_times.hpp"

namespace trainyard {

// Throws UserError as check() does, and where it would take too long (sim/base/effort.hpp).
UpdateTimes simulate_updates(const UpdateJob& job);

}  // namespace trainyard
