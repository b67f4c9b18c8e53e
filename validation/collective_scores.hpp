#pragma once
// The scoreboard's section on collectives.
#include "validation/score_section.hpp"
#include "validation/validate_collectives.hpp"

namespace trainyard {

// Two scores for each measured system: messages from 1 MiB on, and smaller ones.
ScoreSection score_collective_tables(const CollectiveValidation& validation);

}  // namespace trainyard
