// The program: the simulator's verbs and those that hold it against measurements.
#include <array>

#include "sim/cli/command_line.hpp"
#include "validation/cli/validation_verbs.hpp"

int main(int argc, char** argv) {
  constexpr auto kValidation = std::to_array<trainyard::Verb>(
      {{"validate", trainyard::add_validate_verb}, {"calibrate", trainyard::add_calibrate_verb}});
  return trainyard::run_command_line(argc, argv, kValidation);
}
