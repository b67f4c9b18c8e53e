#include "sim/cli/command_line.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <exception>
#include <span>

#include "sim/base/error.hpp"
#include "sim/cli/command_words.hpp"
#include "sim/cli/verbs.hpp"

namespace trainyard {
namespace {

// In the order that --help shows.
constexpr std::array kVerbs = {add_run_verb,    add_compare_verb,    add_search_verb,
                               add_memory_verb, add_collective_verb, add_topology_verb,
                               add_list_verb,   add_validate_verb,   add_calibrate_verb};

// A usage error of CLI11, in the words of every other error. Asking for help is none.
int report_usage(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) {
    return app.exit(error);
  }
  fmt::print(stderr, "trainyard: {}\n  in: command line\n  remedy: see trainyard {}--help\n", error.what(),
             app.get_subcommands().empty() ? "" : app.get_subcommands().front()->get_name() + " ");
  return static_cast<int>(ExitCode::kBadInput);
}

int report(const char* text, ExitCode code) {
  fmt::print(stderr, "trainyard: {}\n", text);
  return static_cast<int>(code);
}

}  // namespace

int run_command_line(int argc, char** argv) {
  CLI::App app("trainyard: what a training step costs on a GPU cluster", "trainyard");
  app.require_subcommand(1);
  for (const auto add_verb : kVerbs) {
    add_verb(app);
  }
  try {
    check_words(app, std::span<char* const>(argv, static_cast<std::size_t>(argc)).subspan(1));
    app.parse(argc, argv);
    const bool is_written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
    return is_written ? static_cast<int>(ExitCode::kDone)
                      : report("cannot write to the standard output", ExitCode::kInternal);
  } catch (const CLI::ParseError& error) {
    return report_usage(app, error);
  } catch (const UserError& error) {
    return report(error.what(), error.code());
  } catch (const std::exception& error) {
    return report(error.what(), ExitCode::kInternal);
  }
}

}  // namespace trainyard
