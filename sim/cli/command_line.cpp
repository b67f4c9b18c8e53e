#include "sim/cli/command_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <span>
#include <sstream>
#include <string_view>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/signals.hpp"
#include "sim/cli/command_words.hpp"
#include "sim/cli/verbs.hpp"

namespace trainyard {
namespace {

// In the order that --help shows.
constexpr auto kVerbs = std::to_array<Verb>({{"run", add_run_verb},
                                             {"compare", add_compare_verb},
                                             {"search", add_search_verb},
                                             {"scale", add_scale_verb},
                                             {"memory", add_memory_verb},
                                             {"show", add_show_verb},
                                             {"collective", add_collective_verb},
                                             {"topology", add_topology_verb},
                                             {"converge", add_converge_verb},
                                             {"list", add_list_verb}});

// The verb that the first word names; all of them where it names none. To describe the options of one takes as long as
// a quick answer.
void add_verbs(CLI::App& app, std::string_view first_word, std::span<const Verb> further_verbs) {
  std::vector<Verb> verbs(kVerbs.begin(), kVerbs.end());
  verbs.insert(verbs.end(), further_verbs.begin(), further_verbs.end());
  const auto named =
      std::find_if(verbs.begin(), verbs.end(), [&](const Verb& verb) { return verb.name == first_word; });
  if (named != verbs.end()) {
    verbs = {*named};
  }
  for (const Verb& verb : verbs) {
    verb.add(app);
  }
}

int report(std::string_view text, ExitCode code) {
  print_note(fmt::format("trainyard: {}\n", text));
  return static_cast<int>(code);
}

// A usage error of CLI11, in the words of every other error. Asking for help or for the version is none.
int report_usage(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) {
    std::ostringstream help;
    app.exit(error, help, help);
    print_text(help.str());
    return static_cast<int>(ExitCode::kDone);
  }
  const std::string verb = app.get_subcommands().empty() ? "" : app.get_subcommands().front()->get_name() + " ";
  const UserError fault(
      {.file = "command line", .problem = error.what(), .remedy = fmt::format("see trainyard {}--help", verb)});
  return report(fault.what(), ExitCode::kBadInput);
}

// What was printed may be lost only now: to a full disk, a closed descriptor, or a reader that has gone.
int finish(int code) {
  const int error = flush_text();
  if (error == 0) {
    return code;
  }
  if (error == EPIPE) {
    end_by_broken_pipe();
  }
  return report(fmt::format("cannot write to the standard output ({})", std::strerror(error)), ExitCode::kInternal);
}

}  // namespace

namespace {

int answer_command_line(int argc, char** argv, std::span<const Verb> further_verbs) {
  CLI::App app("trainyard: what a training step costs on a GPU cluster", "trainyard");
  app.require_subcommand(1);
  app.set_version_flag("--version", "trainyard " TRAINYARD_VERSION, "print the version and exit");
  add_verbs(app, argc > 1 ? argv[1] : "", further_verbs);
  try {
    check_words(app, std::span<char* const>(argv, static_cast<std::size_t>(argc)).subspan(1));
    app.parse(argc, argv);
    return static_cast<int>(ExitCode::kDone);
  } catch (const CLI::ParseError& error) {
    return report_usage(app, error);
  } catch (const UserError& error) {
    return report(error.what(), error.code());
  } catch (const std::bad_alloc&) {
    const UserError fault({.problem = "out of memory",
                           .remedy =
                               "ask for less (fewer GPUs or micro-batches, fold on, --network analytic), or raise "
                               "the limit of this process (ulimit -v)"});
    return report(fault.what(), ExitCode::kInternal);
  } catch (const std::exception& error) {
    return report(error.what(), ExitCode::kInternal);
  }
}

}  // namespace

int run_command_line(int argc, char** argv, std::span<const Verb> further_verbs) {
  prepare_process();
  return finish(answer_command_line(argc, argv, further_verbs));
}

}  // namespace trainyard
