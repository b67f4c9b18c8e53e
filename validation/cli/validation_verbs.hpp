#pragma once
// The verbs of this room, for the program's command line.
#include <CLI/CLI.hpp>

namespace trainyard {

void add_validate_verb(CLI::App& app);
void add_calibrate_verb(CLI::App& app);

}  // namespace trainyard
