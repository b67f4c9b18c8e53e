#pragma once
// The one way in which results reach files. A regular file appears whole or not at all: it is written beside its name,
// keeps the mode and owner of what it replaces, and leaves nothing behind when the process is ended by a signal.
// Symbolic links are followed. What is no regular file (a device, a pipe, a descriptor as /dev/stdout) is written to.
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "sim/base/descriptor.hpp"

namespace trainyard {

class OutputFile {
 public:
  // Throws UserError when the file cannot be written.
  explicit OutputFile(const std::filesystem::path& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // Throws UserError when there is no room.
  void write(std::string_view text);
  // For libraries that write by themselves; they report failures to fail().
  int descriptor() const { return file_.number(); }
  // Gives the file its name; without it the destructor removes what was written.
  void commit();
  [[noreturn]] void fail(int error) const;

 private:
  std::filesystem::path path_;    // as the user wrote it
  std::filesystem::path target_;  // where links lead to
  std::string temporary_;         // empty where the target is written to directly
  int guard_ = -1;                // of the temporary file, see signals.hpp
  Descriptor file_;
};

// Where an output would end up, to compare outputs with each other and with inputs.
struct OutputPlace {
  std::filesystem::path target;  // absolute, links followed
  int descriptor = -1;           // of /dev/stdout and its like: the number it names
  bool exists = false;
  struct stat status {};  // where it exists
  bool is_regular() const { return exists && S_ISREG(status.st_mode) && descriptor < 0; }
};
OutputPlace output_place(const std::filesystem::path& path);
// Whether both would replace one file.
bool same_file(const OutputPlace& a, const OutputPlace& b);

}  // namespace trainyard
