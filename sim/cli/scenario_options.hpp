#pragma once
// A scenario on the command line: a file, or flags, or a file with flags on top.
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "sim/scenario/scenario.hpp"
#include "sim/studies/layout_choice.hpp"

namespace trainyard {

class ScenarioOptions {
 public:
  void add_to(CLI::App& verb);
  // Throws UserError.
  Scenario read() const;

  // What read() reads, for callers that open the layout: the document, and the file that errors name.
  struct Asked {
    Json document;
    std::string file;
  };
  Asked asked() const;
  // The error as the one who typed the options knows its values.
  UserError named(const UserError& error) const;
  // The words after `run` that ask the same with `more` on top, as a shell takes them.
  std::string words(const std::vector<KeyValue>& more) const;

 private:
  struct FlagValue {
    std::string flag;
    std::string path;  // key path in the scenario
    std::string value;
    std::string typed;
  };

  void add_flag_for(CLI::App& verb, const std::string& flag, const std::string& path, const std::string& help);
  Fault name_flag(Fault fault) const;

  std::string file_;
  std::vector<std::string> assignments_;  // of --set
  std::vector<FlagValue> flags_;
};

}  // namespace trainyard
