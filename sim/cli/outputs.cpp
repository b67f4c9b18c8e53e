#include "sim/cli/outputs.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <vector>

#include "sim/base/files.hpp"
#include "sim/base/output_file.hpp"

namespace trainyard {
namespace {

struct Planned {
  OutputOption option;
  OutputPlace place;
};

int& first_error() {
  static int error = 0;
  return error;
}

void note_error(int error) {
  if (first_error() == 0) {
    first_error() = error != 0 ? error : EIO;
  }
}

[[noreturn]] void refuse(const OutputOption& output, std::string problem) {
  throw UserError({.file = std::string(output.flag),
                   .found = std::string(output.path),
                   .allowed = "a file of its own",
                   .problem = std::move(problem),
                   .remedy = "name another file"});
}

bool was_read(const OutputPlace& place) {
  const std::vector<FileIdentity>& files = files_read();
  return place.is_regular() &&
         std::find(files.begin(), files.end(), FileIdentity(place.status.st_dev, place.status.st_ino)) != files.end();
}

// The text of the answer goes to the standard output: a file that it leads to would be replaced under it.
OutputPlace standard_output() {
  OutputPlace place;
  place.exists = ::fstat(STDOUT_FILENO, &place.status) == 0;
  return place;
}

}  // namespace

void print_text(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) < text.size()) {
    note_error(errno);
  }
}

int flush_text() {
  errno = 0;
  if (std::fflush(stdout) != 0) {
    note_error(errno);
  }
  return first_error();
}

void print_note(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
}

void check_outputs(std::initializer_list<OutputOption> outputs, std::span<const std::string> inputs) {
  std::vector<Planned> planned;
  std::vector<OutputPlace> read;
  for (const std::string& input : inputs) {
    read.push_back(output_place(input));
  }
  const OutputPlace console = standard_output();
  for (const OutputOption& output : outputs) {
    if (output.path.empty()) {
      continue;
    }
    if (output.path == "-") {
      refuse(output, "only --json writes to the standard output");
    }
    const OutputPlace place = output_place(output.path);
    const bool will_be_read = std::any_of(read.begin(), read.end(), [&](const OutputPlace& input) {
      return input.is_regular() && same_file(place, input);
    });
    if (was_read(place) || will_be_read) {
      refuse(output, "the output would replace a file that this command reads");
    }
    if (place.descriptor == STDOUT_FILENO) {
      refuse(output, "the answer goes to the standard output");
    }
    if (place.is_regular() && same_file(place, console)) {
      refuse(output, "the output would replace the file that the standard output goes to");
    }
    for (const Planned& other : planned) {
      if (same_file(place, other.place)) {
        refuse(output, fmt::format("the output would replace that of {}", other.option.flag));
      }
    }
    check_writable(output.path);
    planned.push_back({output, place});
  }
}

}  // namespace trainyard
