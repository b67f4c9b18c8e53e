#pragma once
// A scenario on the command line: a file, or flags, or a file with flags on top.
#include <CLI/CLI.hpp>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "sim/scenario/scenario.hpp"
#include "sim/studies/layout_choice.hpp"

namespace trainyard {

// A key of the scenario that the command line sets, and the option that does.
struct Assignment {
  std::string flag;
  std::string path;  // "layout.tp"
  std::string value;
  std::string typed;  // what stood on the command line
};
// Of "--set key.path=value". Throws UserError.
Assignment assignment_of(const std::string& text);
// Sets the keys in their order. Throws UserError when one is set twice, so that the earlier would change nothing.
void assign(Json& document, const std::vector<Assignment>& assignments);
// A value that an option gave is the option's fault, not the file's.
Fault name_flag(Fault fault, const std::vector<Assignment>& assignments);

class ScenarioOptions {
 public:
  void add_to(CLI::App& verb);
  // What is asked: the document, and the file that errors name. Reads the file, which may be a pipe: once. Throws
  // UserError.
  struct Asked {
    Json document;
    std::string file;
  };
  Asked asked() const;
  // The scenario of what is asked, and of asked() where it is not given. Throws UserError.
  Scenario read(const Asked& asked) const;
  Scenario read() const;
  // The error as the one who typed the options knows its values.
  UserError named(const UserError& error) const;
  // The words after `run` that ask the same with `more` on top, as a shell takes them.
  std::string words(const std::vector<KeyValue>& more) const;
  // Says on the standard error which of these flags were given though they change nothing, and why.
  void note_unused(std::initializer_list<std::string_view> flags, std::string_view why) const;

 private:
  std::vector<Assignment> assignments() const;  // of flags and --set, in this order
  void add_flag_for(CLI::App& verb, const std::string& flag, const std::string& path, const std::string& help);

  std::string file_;
  std::vector<std::string> sets_;  // of --set
  std::vector<Assignment> flags_;
};

}  // namespace trainyard
