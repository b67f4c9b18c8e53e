#pragma once
// The real binary, as a user runs it.
#include <filesystem>
#include <string>
#include <vector>

namespace trainyard {

struct Outcome {
  int code = -1;  // exit code; -1 when a signal ended it
  std::string out;
  std::string err;
};

// Runs `trainyard words...` and waits for it.
Outcome trainyard_with(const std::vector<std::string>& words);
// What a bash script ends with, in which $T is the binary: for limits, redirections, pipes and signals.
Outcome shell(const std::string& script);
// The same for words separated by blanks, as a shell reads them: single quotes around a word go.
Outcome trainyard_line(const std::string& line);

// A folder of this process alone, removed at the end.
struct ScratchFolder {
  std::filesystem::path path;
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  // Writes a file and returns its path.
  std::string file(const std::string& name, const std::string& content) const;
  std::size_t entries() const;
};

std::string content_of(const std::filesystem::path& path);

}  // namespace trainyard
