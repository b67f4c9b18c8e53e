#pragma once
// The command line: one file per verb, one row per verb.
#include <span>

namespace CLI {
class App;
}

namespace trainyard {

// Adds a verb as a subcommand.
using AddVerb = void (*)(CLI::App&);

// The simulator's own, in the order that --help shows.
std::span<const AddVerb> simulator_verbs();

// Parses, runs the verb, prints errors on stderr; returns the process's exit code (contract: ExitCode). Of the verbs
// --help shows the simulator's own first.
int run_command_line(int argc, char** argv, std::span<const AddVerb> further_verbs);

}  // namespace trainyard
