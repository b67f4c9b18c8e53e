#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "sim/base/effort.hpp"
#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "sim/base/xml_text.hpp"

using namespace trainyard;

namespace test_files {

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

TEST_CASE("a read that fails on the way is no end of the file") {
  try {
    read_file("/proc/self/mem");  // opens, and has nothing at its beginning: EIO
    FAIL("no error was raised");
  } catch (const UserError& error) {
    CHECK(error.code() == ExitCode::kInternal);
    CHECK(error.fault().problem.find("cannot read") != std::string::npos);
  }
}

TEST_CASE("a name of 255 bytes is written, a longer one refused") {
  const ScratchFolder folder;
  write_file(folder.path / std::string(255, 'n'), "x");
  CHECK(read_file(folder.path / std::string(255, 'n')) == "x");
  CHECK_THROWS_AS(write_file(folder.path / std::string(256, 'n'), "x"), UserError);
}

TEST_CASE("messages cut what is long and spell control characters out") {
  const UserError error({.found = std::string(1'000'000, 'x') + "\x1b[31m", .problem = "too long"});
  const std::string text = error.what();
  CHECK(text.size() < 2100);
  CHECK(text.find("\\x1b[31m") != std::string::npos);
}

TEST_CASE("more events than allowed and more memory than there is are refused with their number") {
  require_effort({.events = 1e6, .bytes = 1e6}, {});
  CHECK(available_memory() > 0.0);
  for (const Effort& needed : {Effort{.events = 1e9}, Effort{.bytes = 1e18}, Effort{.events = std::nan("")}}) {
    try {
      require_effort(needed, {.remedy = "ask for less"});
      FAIL("no error was raised");
    } catch (const UserError& error) {
      CHECK(error.fault().found.starts_with("about "));
      CHECK(error.fault().remedy == "ask for less");
    }
  }
}

TEST_CASE("text in XML has no markup, no control characters and is UTF-8") {
  CHECK(xml_text("a<b>&\"c") == "a&lt;b&gt;&amp;&quot;c");
  CHECK(xml_text("\xff\x1b") == "\xef\xbf\xbd\xef\xbf\xbd");
}

TEST_CASE("a catalogue name is found without its case, and by words that are one name's alone") {
  const auto found = [](const char* folder, const char* name) {
    return catalogue_path(folder, "entry", name, "s.json", "/x").stem().string();
  };
  CHECK(found("topologies/clusters", "DGX-H100") == "dgx-h100");
  CHECK(found("topologies/clusters", "dgx_h100") == "dgx-h100");
  CHECK(found("topologies/clusters", "Juwels") == "juwels-booster");
  CHECK(found("kernels/gpus", "H100_SXM") == "h100-sxm");
  CHECK(found("topologies/clusters", "booster") == "juwels-booster");
  CHECK_THROWS_AS(found("topologies/clusters", "H100"), UserError);  // dgx-h100, h100-800g and others
  CHECK(found("kernels/gpus", "titanx") == "titanx");                // a name of its own, though others begin so
  CHECK(found("models/catalogue", "GPT3") == "gpt3-175b");
  CHECK(found("sim/scenario/frameworks", "Megatron-Core") == "megatron-core");
  try {
    catalogue_path("kernels/gpus", "GPU", "pcie", "s.json", "/gpu");
    FAIL("there are several");
  } catch (const UserError& error) {
    CHECK(error.fault().nearest == "a100-pcie, a100-pcie-80, h100-pcie");
    CHECK(error.fault().problem == "more than one GPU is called so");
  }
  CHECK_THROWS_AS(catalogue_path("kernels/gpus", "GPU", "", "s.json", "/gpu"), UserError);
  CHECK_THROWS_AS(catalogue_path("kernels/gpus", "GPU", "../gpus/a100", "s.json", "/gpu"), UserError);
}

TEST_CASE("a slash or .json makes a name a file") {
  for (const char* file : {"./mine", "a/b", "mine.json"}) {
    CHECK(names_file(file));
  }
  for (const char* name : {"h100-sxm", "gpt-3.5", "json", ""}) {
    CHECK_FALSE(names_file(name));
  }
}

TEST_CASE("a home folder without catalogues says so, instead of calling every name unknown") {
  const char* before = std::getenv("TRAINYARD_HOME");
  const std::string kept = before == nullptr ? "" : before;
  ::setenv("TRAINYARD_HOME", "/nowhere", 1);
  for (const auto& ask : {+[] { catalogue_path("models/catalogue", "model", "llama-3-8b", "s.json", "/model"); },
                          +[] { catalogue_names("models/catalogue"); }}) {
    try {
      ask();
      FAIL("no error was raised");
    } catch (const UserError& error) {
      CHECK(error.fault().file == "TRAINYARD_HOME");
      CHECK(error.fault().found == "\"/nowhere\"");
      CHECK(error.fault().problem == "the folder has no catalogues");
    }
  }
  before == nullptr ? ::unsetenv("TRAINYARD_HOME") : ::setenv("TRAINYARD_HOME", kept.c_str(), 1);
}

}  // namespace test_files
