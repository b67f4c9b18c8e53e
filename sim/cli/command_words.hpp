#pragma once
// Verbs and options that do not exist: found before anything is parsed, with the nearest that does.
#include <CLI/CLI.hpp>
#include <span>

namespace trainyard {

// Throws UserError for a verb or an option that `app` does not have. Values are not looked at.
void check_words(const CLI::App& app, std::span<char* const> words);

}  // namespace trainyard
