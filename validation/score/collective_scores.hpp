#pragma once
// The scoreboard's section on collectives.
#include "validation/score/score_section.hpp"
#include "validation/score/validate_collectives.hpp"

namespace trainyard {

// All rows first, as users get them and held out; then two scores for each measured system, held out: messages from
// 1 MiB on, and smaller ones. The section's rows are those held out.
ScoreSection score_collective_tables(const CollectiveValidation& validation);

}  // namespace trainyard
