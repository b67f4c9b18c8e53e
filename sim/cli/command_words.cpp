#include "sim/cli/command_words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/name_table.hpp"

namespace trainyard {
namespace {

std::vector<const CLI::App*> verbs_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

[[noreturn]] void unknown(std::string_view what, std::string_view word, const std::vector<std::string>& names) {
  throw UserError({.file = "command line",
                   .found = std::string(word),
                   .allowed = join_names(names),
                   .nearest = nearest_name(word, names).value_or(""),
                   .problem = fmt::format("unknown {}", what)});
}

std::vector<std::string> names_of(const std::vector<const CLI::App*>& verbs) {
  std::vector<std::string> names;
  for (const CLI::App* verb : verbs) {
    names.push_back(verb->get_name());
  }
  return names;
}

std::string kind_of_verb(const CLI::App& app) {
  return app.get_parent() == nullptr ? "verb" : fmt::format("kind of {}", app.get_name());
}

const CLI::App& find_verb(const CLI::App& app, std::string_view word) {
  const std::vector<const CLI::App*> verbs = verbs_of(app);
  for (const CLI::App* verb : verbs) {
    if (verb->get_name() == word) {
      return *verb;
    }
  }
  unknown(kind_of_verb(app), word, names_of(verbs));
}

void check_option(const CLI::App& app, std::string_view word) {
  const std::string name(word.substr(0, word.find('=')));
  if (app.get_option_no_throw(name) != nullptr) {
    return;
  }
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& known : option->get_lnames()) {
      names.push_back("--" + known);
    }
  }
  unknown(fmt::format("option of {}", app.get_name()), name, names);
}

// "-5" is a number; "-" is the standard output.
bool is_option(std::string_view word) {
  return word.size() > 1 && word[0] == '-' &&
         (word[1] == '-' || std::isalpha(static_cast<unsigned char>(word[1])) != 0);
}

// No option and no argument has an empty value: it is a variable of a script that was not set.
void check_not_empty(std::string_view before, std::string_view word) {
  const bool is_assigned = is_option(word) && word.ends_with('=');
  if (word.empty() || is_assigned) {
    throw UserError({.file = std::string(is_assigned ? word.substr(0, word.size() - 1) : before),
                     .found = "an empty value",
                     .allowed = "a value, or the option left out",
                     .problem = "an option without its value would be ignored"});
  }
}

}  // namespace

void check_words(const CLI::App& app, std::span<char* const> words) {
  const CLI::App* verb = &app;
  bool asks_of_itself = false;  // for help, or for the version
  std::string_view before = "command line";
  for (const char* const text : words) {
    const std::string_view word = text;
    check_not_empty(before, word);
    before = word;
    if (word == "--") {
      break;
    }
    if (is_option(word)) {
      check_option(*verb, word);
      asks_of_itself = asks_of_itself || word == "--help" || word == "-h" || word == "--version";
    } else if (!verbs_of(*verb).empty()) {
      verb = &find_verb(*verb, word);
    }
  }
  if (!verbs_of(*verb).empty() && !asks_of_itself) {
    throw UserError({.file = "command line",
                     .found = "nothing",
                     .allowed = join_names(names_of(verbs_of(*verb))),
                     .problem = fmt::format("a {} is missing", kind_of_verb(*verb))});
  }
}

}  // namespace trainyard
