#pragma once
// A scenario on the command line: a file, or flags, or a file with flags on top.
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "sim/scenario/scenario.hpp"

namespace trainyard {

class ScenarioOptions {
 public:
  void add_to(CLI::App& verb);
  // `more` assignments come on top of all others. Throws UserError.
  Scenario read(const std::vector<std::string>& more = {}) const;

 private:
  struct FlagValue {
    std::string flag;
    std::string path;  // key path in the scenario
    std::string value;
  };

  void add_flag_for(CLI::App& verb, const std::string& flag, const std::string& path, const std::string& help);
  Fault name_flag(Fault fault) const;

  std::string file_;
  std::vector<std::string> assignments_;  // of --set
  std::vector<FlagValue> flags_;
};

}  // namespace trainyard
