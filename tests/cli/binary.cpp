#include "tests/cli/binary.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace trainyard {
namespace fs = std::filesystem;

namespace {

Outcome outcome_of(std::vector<std::string> all) {
  const ScratchFolder scratch;
  const std::string out = scratch.path / "out";
  const std::string err = scratch.path / "err";
  std::vector<char*> arguments;
  for (std::string& word : all) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT, 0600);
  pid_t child = 0;
  const int failure = posix_spawn(&child, all.front().c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) {
    throw std::runtime_error("cannot start " + all.front());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return {.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1, .out = content_of(out), .err = content_of(err)};
}

}  // namespace

Outcome trainyard_with(const std::vector<std::string>& words) {
  std::vector<std::string> all = {TRAINYARD_BINARY};
  all.insert(all.end(), words.begin(), words.end());
  return outcome_of(std::move(all));
}

Outcome shell(const std::string& script) {
  return outcome_of({"/bin/bash", "-c", "T=" TRAINYARD_BINARY "\n" + script});
}

Outcome trainyard_line(const std::string& line) {
  std::vector<std::string> words;
  bool is_quoted = false;
  bool is_in_word = false;
  for (const char c : line) {
    if (c == '\'') {
      is_quoted = !is_quoted;
    } else if (c == ' ' && !is_quoted) {
      is_in_word = false;
    } else {
      if (!is_in_word) {
        words.emplace_back();
        is_in_word = true;
      }
      words.back() += c;
    }
  }
  return trainyard_with(words);
}

ScratchFolder::ScratchFolder() {
  std::string name = fs::temp_directory_path() / "trainyard_cli_XXXXXX";
  if (mkdtemp(name.data()) == nullptr) {
    throw std::runtime_error("cannot make a scratch folder");
  }
  path = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

std::string ScratchFolder::file(const std::string& name, const std::string& content) const {
  std::ofstream(path / name, std::ios::binary) << content;
  return path / name;
}

std::size_t ScratchFolder::entries() const {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(path), fs::directory_iterator()));
}

std::string content_of(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

}  // namespace trainyard
