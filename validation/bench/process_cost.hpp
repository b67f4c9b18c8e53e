#pragma once
// What running the real binary costs, from its start to its exit.
#include <string>
#include <vector>

namespace trainyard {

struct ProcessCost {
  double wall_seconds = 0.0;
  double cpu_seconds = 0.0;  // user and system, of children too
  double peak_bytes = 0.0;   // of resident memory; a small process, the caller, is its floor
  int exit_code = -1;
};

// Runs the binary with its output thrown away.
ProcessCost run_process(const std::vector<std::string>& arguments);

}  // namespace trainyard
