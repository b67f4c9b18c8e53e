#pragma once
// The command line: one file per verb, one row per verb.
#include <span>
#include <string_view>

namespace CLI {
class App;
}

namespace trainyard {

struct Verb {
  std::string_view name;
  void (*add)(CLI::App& app);  // as a subcommand of that name
};

// Parses, runs the verb, prints errors on stderr; returns the process's exit code (contract: ExitCode). The simulator's
// own verbs stand in command_line.cpp; --help shows the further ones after them.
int run_command_line(int argc, char** argv, std::span<const Verb> further_verbs);

}  // namespace trainyard
