#pragma once
// Where the answers of a verb go: the standard streams and the files that its options name.
#include <fmt/format.h>

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace trainyard {

// Text on the standard output. A failure is reported once, at the end of the process.
void print_text(std::string_view text);
template <class... Values>
void print_text(fmt::format_string<Values...> format, Values&&... values) {
  print_text(std::string_view(fmt::format(format, std::forward<Values>(values)...)));
}
// Writes what is buffered; the error number of the first print or flush that failed, 0 where none did.
int flush_text();
// On the standard error, which may be closed: what cannot be said there is not said.
void print_note(std::string_view text);

// A file that an option names; no path where the option was not given.
struct OutputOption {
  std::string_view flag;
  std::string_view path;
};
// Before any work: that every one can be written, that no two are the same file, and that none is a file that was read
// or is one of `inputs`, which will be. Throws UserError.
void check_outputs(std::initializer_list<OutputOption> outputs, std::span<const std::string> inputs = {});

}  // namespace trainyard
