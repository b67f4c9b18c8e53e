#include <doctest/doctest.h>

#include <filesystem>

#include "sim/base/error.hpp"
#include "sim/base/files.hpp"

using namespace trainyard;
namespace fs = std::filesystem;

namespace {

struct ScratchFolder {
  fs::path path = fs::temp_directory_path() / fs::path("trainyard_test_files");
  ScratchFolder() {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~ScratchFolder() { fs::remove_all(path); }
};

}  // namespace

TEST_CASE("a file is written whole and leaves no temporary file") {
  const ScratchFolder folder;
  write_file(folder.path / "a.txt", "first");
  write_file(folder.path / "a.txt", "second");
  CHECK(read_file(folder.path / "a.txt") == "second");
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
}

TEST_CASE("missing files, folders and unwritable places are the user's to mend") {
  const ScratchFolder folder;
  CHECK_THROWS_AS(read_file(folder.path / "none"), UserError);
  CHECK_THROWS_AS(read_file(folder.path), UserError);
  CHECK_THROWS_AS(write_file(folder.path / "no" / "such" / "folder.txt", "x"), UserError);
  CHECK_THROWS_AS(check_writable(folder.path), UserError);
}

TEST_CASE("an unknown catalogue name suggests the nearest") {
  try {
    catalogue_path("kernels/gpus", "GPU", "h100-sxn", "s.json", "/gpu");
    FAIL("no error was raised");
  } catch (const UserError& error) {
    CHECK(error.fault().pointer == "/gpu");
    CHECK(error.fault().problem == "unknown GPU");
  }
}
