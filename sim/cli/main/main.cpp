#include "sim/cli/command_line.hpp"

int main(int argc, char** argv) {
  return trainyard::run_command_line(argc, argv);
}
