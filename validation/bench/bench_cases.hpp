#pragma once
// The command lines that are measured, and what each may cost.
#include <array>
#include <string>
#include <vector>

namespace trainyard {

struct BenchCase {
  std::string name;
  std::vector<std::string> command;
  double most_seconds = 0.0;  // zero: no bar
  double most_megabytes = 0.0;
};

std::vector<BenchCase> bench_cases();

// One shape of model replica, more and more of them: the cost of size alone.
inline constexpr std::array kGrowthGpus = {8, 64, 512, 4096, 32768, 131072};
std::vector<std::string> growth_command(int gpus);
inline constexpr double kLargestGrowthExponent = 0.6;  // the bar

// A step whose symmetry is not used.
std::vector<std::string> unfolded_command();
std::vector<std::string> simgrid_command();

// Every layout of a job by formula, nothing simulated. Its result says how long that took.
std::vector<std::string> screening_command();
inline constexpr double kLeastLayoutsPerSecond = 20000.0;  // the bar, of one core

}  // namespace trainyard
