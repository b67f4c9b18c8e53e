// What reaches files and streams: whole or not at all, nobody else's file harmed, and every failure in words.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "tests/cli/binary.hpp"

namespace fs = std::filesystem;

namespace trainyard::test_outputs {
namespace {

const std::string kRun = "run --model gpt2-xl --cluster dgx-a100 --gpus 8 --network analytic";

// The words of kRun and more, with paths in them quoted as they are.
Outcome run_with(const std::vector<std::string>& more) {
  std::vector<std::string> words = {"run",    "--model", "gpt2-xl",   "--cluster", "dgx-a100",
                                    "--gpus", "8",       "--network", "analytic"};
  words.insert(words.end(), more.begin(), more.end());
  return trainyard_with(words);
}

bool is_json(const std::string& text) {
  return nlohmann::json::accept(text);
}

}  // namespace

TEST_CASE("every output follows links, keeps mode and writes through to what is no regular file") {
  const ScratchFolder folder;
  const std::string target = folder.file("target.json", "old");
  fs::permissions(target, fs::perms::owner_read | fs::perms::owner_write);  // 0600: not loosened to 0644
  fs::create_symlink("target.json", folder.path / "link.json");
  fs::create_symlink("new.svg", folder.path / "dangling.svg");
  const Outcome outcome = run_with(
      {"--json", folder.path / "link.json", "--timeline", folder.path / "dangling.svg", "--trace", "/dev/null"});
  CHECK(outcome.code == 0);
  CHECK(fs::is_symlink(folder.path / "link.json"));
  CHECK(is_json(content_of(target)));
  CHECK(fs::status(target).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  CHECK(fs::is_symlink(folder.path / "dangling.svg"));
  CHECK(content_of(folder.path / "new.svg").starts_with("<svg"));
  CHECK(fs::is_character_file("/dev/null"));
  CHECK(folder.entries() == 4);  // no temporary file
}

TEST_CASE("new files have the mode that the process's mask leaves") {
  const ScratchFolder folder;
  CHECK(shell("umask 027; $T " + kRun + " --json " + (folder.path / "a.json").string()).code == 0);
  CHECK(static_cast<unsigned>(fs::status(folder.path / "a.json").permissions()) == 0640U);
}

TEST_CASE("a pipe gets the document, and a name of the standard output gets it alone") {
  const ScratchFolder folder;
  const std::string pipe = folder.path / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const Outcome read = shell("cat " + pipe + " & $T " + kRun + " --json " + pipe + " > /dev/null && wait");
  CHECK(read.code == 0);
  CHECK(is_json(read.out));
  CHECK(fs::is_fifo(pipe));
  CHECK(is_json(shell("$T " + kRun + " --json /dev/stdout | cat").out));
  CHECK(is_json(trainyard_line(kRun + " --json /dev/stdout").out));
  CHECK(trainyard_line(kRun + " --json - --timeline /dev/stdout").code == 2);
  CHECK(trainyard_line(kRun + " --trace /dev/fd/1").code == 2);
}

TEST_CASE("no output replaces an input, another output or the file that the text goes to") {
  const ScratchFolder folder;
  const std::string scenario =
      folder.file("a.json", R"({"model": "gpt2-xl", "cluster": "dgx-a100", "gpus": 8, "network": "analytic"})");
  const std::string before = content_of(scenario);
  fs::create_symlink("a.json", folder.path / "alias.json");
  const std::string other = folder.path / "b.json";
  CHECK(trainyard_with({"run", scenario, "--json", scenario}).code == 2);
  CHECK(trainyard_with({"run", scenario, "--trace", folder.path / "alias.json"}).code == 2);
  CHECK(trainyard_with({"run", scenario, "--json", other, "--timeline", folder.path / "." / "b.json"}).code == 2);
  CHECK(trainyard_with({"run", scenario, "--trace", "-"}).code == 2);
  CHECK(shell("$T run " + scenario + " --json " + other + " > " + other).code == 2);
  const std::string table = folder.file("t.csv", "id\n");
  CHECK(trainyard_with({"validate", "runs", table, "--json", table}).code == 2);
  CHECK(content_of(scenario) == before);
  CHECK(content_of(table) == "id\n");
}

TEST_CASE("a full disk, a file size limit and closed streams are the machine's faults, said in words where possible") {
  const ScratchFolder folder;
  const std::string file = folder.path / "a.json";
  for (const char* option : {"--json", "--trace", "--timeline"}) {
    const Outcome full = run_with({option, "/dev/full"});
    CHECK(full.code == 1);
    CHECK(full.err.find("No space left") != std::string::npos);
  }
  CHECK(shell("$T " + kRun + " > /dev/full").code == 1);
  CHECK(shell("$T --help > /dev/full").code == 1);
  CHECK(shell("$T " + kRun + " >&-").code == 1);
  const Outcome limited = shell("ulimit -f 1; $T " + kRun + " --json " + file + " > /dev/null");
  CHECK(limited.code == 1);
  CHECK(limited.err.find("File too large") != std::string::npos);
  CHECK(folder.entries() == 0);
  CHECK(shell("$T run --model nonesuch 2>&-").code == 2);
  CHECK(shell("$T run --model nonesuch 2> /dev/full").code == 2);
  CHECK(shell("$T run --model nonesuch <&- >&- 2>&-").code == 2);
}

TEST_CASE("a reader that goes away costs the text, not the file") {
  const ScratchFolder folder;
  const std::string file = folder.path / "a.json";
  const Outcome outcome = shell("$T " + kRun + " --json " + file + " | true; echo ${PIPESTATUS[0]}");
  CHECK((outcome.out == "141\n" || outcome.out == "0\n"));  // SIGPIPE, unless all was written before
  CHECK(is_json(content_of(file)));
}

TEST_CASE("bytes that are no UTF-8 in paths work, and are replaced in the document") {
  const ScratchFolder folder;
  const std::string model =
      folder.file("m\xff.json", content_of(TRAINYARD_SOURCE_DIR "/models/catalogue/gpt2-xl.json"));
  const Outcome outcome =
      trainyard_with({"run", "--model", model, "--cluster", "dgx-a100", "--gpus", "8", "--network", "analytic",
                      "--json", folder.path / "o\xfe.json", "--timeline", folder.path / "t.svg"});
  CHECK(outcome.code == 0);
  CHECK(is_json(content_of(folder.path / "o\xfe.json")));
  const std::string missing = folder.path / "no\xff.json";
  CHECK(trainyard_with({"run", "--model", missing, "--cluster", "dgx-a100", "--gpus", "8"}).code == 2);
}

TEST_CASE("a signal ends the process and leaves neither workers nor temporary files") {
  const ScratchFolder folder;
  const std::string file = folder.path / "a.json";
  // Every rank simulated takes seconds.
  for (const char* signal : {"TERM", "INT", "HUP"}) {
    const Outcome outcome = shell(
        "set -m; $T run --model gpt3-175b --cluster dgx-a100 --gpus 1024 --tp 8 --pp 8 --global-batch 1536 --fold off "
        "--trace " +
        file + " & sleep 0.3; kill -" + signal + " $!; wait $!; echo $?");
    CHECK(outcome.out == (std::string(signal) == "TERM" ? "143\n" : std::string(signal) == "INT" ? "130\n" : "129\n"));
    CHECK(folder.entries() == 0);
  }
}

}  // namespace trainyard::test_outputs
