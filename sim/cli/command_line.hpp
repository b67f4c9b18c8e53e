#pragma once
// The command line: one file per verb, one row per verb in command_line.cpp.
namespace trainyard {

// Parses, runs the verb, prints errors on stderr; returns the process's exit code (contract: ExitCode).
int run_command_line(int argc, char** argv);

}  // namespace trainyard
