// Profiles that rest on others, in a catalogue of their own.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "sim/base/files.hpp"
#include "sim/scenario/framework.hpp"
#include "sim/scenario/framework_document.hpp"

using namespace trainyard;

namespace test_framework_base {

namespace fs = std::filesystem;

namespace {

// A folder that stands for the catalogues while a test runs.
class Home {
 public:
  Home() : path_(fs::temp_directory_path() / "trainyard-framework-base") {
    fs::remove_all(path_);
    fs::create_directories(path_ / "sim/scenario/frameworks");
    const char* before = std::getenv("TRAINYARD_HOME");
    before_ = before == nullptr ? "" : before;
    ::setenv("TRAINYARD_HOME", path_.c_str(), 1);
  }
  ~Home() {
    before_.empty() ? ::unsetenv("TRAINYARD_HOME") : ::setenv("TRAINYARD_HOME", before_.c_str(), 1);
    fs::remove_all(path_);
  }
  Home(const Home&) = delete;
  Home& operator=(const Home&) = delete;

  void add(const std::string& name, const Json& document) const {
    write_file(path_ / "sim/scenario/frameworks" / (name + ".json"), document.dump());
  }
  std::string file(const std::string& name, const Json& document) const {
    const fs::path path = path_ / (name + ".json");
    write_file(path, document.dump());
    return path.string();
  }

 private:
  fs::path path_;
  std::string before_;
};

Fault fault_of(const std::string& name) {
  try {
    framework_document(name, "job.json", "/framework");
  } catch (const UserError& error) {
    CHECK(error.code() == ExitCode::kBadInput);
    return error.fault();
  }
  FAIL("accepted");
  return {};
}

}  // namespace

TEST_CASE("a profile has what its base says where it says nothing itself") {
  const Home home;
  home.add("old", {{"description", "old"},
                   {"host", {{"step", "10 us"}, {"collective", "15 us"}}},
                   {"memory", {{"context", "2 GiB"}, {"sizes", {1, 2, 3}}}},
                   {"attention_kernel", "cuDNN"},
                   {"fits", {{{"table", "runs"}}}}});
  home.add("new", {{"description", "new"},
                   {"base", "old"},
                   {"host", {{"step", "20 us"}}},
                   {"memory", {{"sizes", {4}}}},
                   {"attention_kernel", nullptr}});
  home.add("newest", {{"description", "newest"}, {"base", "New"}, {"kernel_rate", 0.9}});
  // Objects key by key, a list as a whole, null takes away; descriptions and fits are nobody else's.
  Json expected = {{"host", {{"step", "20 us"}, {"collective", "15 us"}}},
                   {"memory", {{"context", "2 GiB"}, {"sizes", {4}}}},
                   {"description", "new"}};
  CHECK(framework_document("new").document == expected);
  expected["description"] = "newest";
  expected["kernel_rate"] = 0.9;
  const FrameworkDocument newest = framework_document("newest");
  CHECK(newest.document == expected);
  CHECK(newest.name == "newest");
  CHECK(framework_document("old").document.contains("fits"));
  const FrameworkDocument own = framework_document(home.file("mine", {{"base", "newest"}, {"kernel_rate", 0.8}}));
  CHECK(own.document["kernel_rate"] == 0.8);
  CHECK(own.document["host"]["step"] == "20 us");
  CHECK_FALSE(own.document.contains("description"));
  CHECK(own.name.ends_with("mine.json"));
}

TEST_CASE("bases that are not there or lead in a circle are refused where they are named") {
  const Home home;
  home.add("one", {{"base", "three"}});
  home.add("two", {{"base", "one"}});
  home.add("three", {{"base", "two"}});
  home.add("stray", {{"base", "thre"}});
  home.add("listed", {{"base", {"one"}}});
  const Fault circle = fault_of("two");
  CHECK(circle.file.ends_with("three.json"));
  CHECK(circle.pointer == "/base");
  CHECK(circle.problem == "the bases of framework profiles lead in a circle: two, one, three, two");
  const Fault itself = fault_of(home.file("mine", {{"base", "three"}}));
  CHECK(itself.problem == "the bases of framework profiles lead in a circle: three, two, one, three");
  const Fault stray = fault_of("stray");
  CHECK(stray.file.ends_with("stray.json"));
  CHECK(stray.pointer == "/base");
  CHECK(stray.nearest == "three");
  CHECK(fault_of("listed").pointer == "/base");
  CHECK(fault_of("four").file == "job.json");
  CHECK(fault_of("/nowhere/four.json").file == "/nowhere/four.json");
}

TEST_CASE("a user's own profile is read from its file, on a base of the catalogue") {
  const fs::path path = fs::temp_directory_path() / "trainyard-own-framework.json";
  write_file(path, R"({"description": "ours", "base": "megatron-core", "host": {"step": "1 ms"}})");
  const FrameworkProfile core = load_framework("megatron-core");
  const FrameworkProfile own = load_framework(path.string());
  CHECK(own.name == path.string());
  CHECK(own.host.step == Seconds{1e-3});
  CHECK(own.host.collective == core.host.collective);
  CHECK(own.nccl_version == core.nccl_version);
  CHECK(own.fits.empty());
  write_file(path, R"({"description": "ours", "base": "megatron-core", "hots": {"step": "1 ms"}})");
  try {
    load_framework(path.string());
    FAIL("accepted");
  } catch (const UserError& error) {
    CHECK(error.fault().file == path.string());
    CHECK(error.fault().pointer == "/hots");
    CHECK(error.fault().nearest == "host");
  }
  fs::remove(path);
}

}  // namespace test_framework_base
