// What would run away is refused before it starts, and what would be ignored is said.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "tests/cli/binary.hpp"
#include "tests/sanitized.hpp"

namespace trainyard::test_refusals {
namespace {

const std::string kJob = " --model gpt3-175b --cluster dgx-h100 --tp 8 --pp 8 ";

// Refused as bad input, in words that say how much was asked for and what to do.
void check_refused(const Outcome& outcome) {
  CAPTURE(outcome.err);
  CHECK(outcome.code == 2);
  CHECK(outcome.err.find("found: about") != std::string::npos);
  CHECK(outcome.err.find("--no-limit") != std::string::npos);
  CHECK(outcome.err.find("remedy: ") != std::string::npos);
}

}  // namespace

TEST_CASE("steps of more events than a minute or two of simulation are refused with a remedy") {
  check_refused(trainyard_line("run" + kJob + "--gpus 131072 --global-batch 32768 --fold off"));
  check_refused(trainyard_line("run" + kJob + "--gpus 131072 --global-batch 32768 --set variation.kernel_jitter=0.02"));
  check_refused(trainyard_line("run" + kJob + "--gpus 64 --global-batch 1000000000"));
  check_refused(trainyard_line("memory" + kJob + "--gpus 64 --global-batch 1000000000"));
}

TEST_CASE("a million GPUs are more than a fabric is cut or a layout is searched on") {
  check_refused(trainyard_line("topology dgx-h100 --gpus 1000000"));
  check_refused(trainyard_line("search --model gpt3-175b --cluster dgx-h100 --gpus 1000000 --global-batch 1000000"));
}

TEST_CASE("tiny gradient buckets are refused: those of nothing as input, those of a few bytes by their number") {
  const std::string job = "run --model gpt2-xl --cluster dgx-a100 --gpus 8 --data-parallel ddp --set ";
  for (const char* size : {"0 B", "1 B", "7 B"}) {
    const Outcome outcome =
        trainyard_with({"run", "--model", "gpt2-xl", "--cluster", "dgx-a100", "--gpus", "8", "--data-parallel", "ddp",
                        "--set", std::string("training.data_parallel.bucket=") + size});
    CHECK(outcome.code == 2);
  }
  check_refused(
      trainyard_with({"run", "--model", "gpt3-175b", "--cluster", "dgx-h100", "--gpus", "64", "--tp", "8", "--pp", "4",
                      "--data-parallel", "ddp", "--allow-oom", "--set", "training.data_parallel.bucket=8 B"}));
}

TEST_CASE("devices, pipes without a writer and huge texts are no input") {
  const ScratchFolder folder;
  const std::string pipe = folder.path / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  for (const std::string& file : {std::string("/dev/zero"), std::string("/dev/urandom"), pipe, folder.path.string()}) {
    const Outcome outcome = trainyard_with({"run", file});
    CAPTURE(file);
    CHECK(outcome.code == 2);
    CHECK(outcome.err.find("cannot read the file") != std::string::npos);
  }
  const std::string huge =
      folder.file("huge.json", R"({"model": ")" + std::string(20'000'000, 'x') + R"(", "cluster": "dgx-a100"})");
  const Outcome outcome = trainyard_with({"run", huge});
  CHECK(outcome.code == 2);
  CHECK(outcome.err.size() < 2000);
  CHECK(trainyard_with({"run", "--model", std::string(100'000, 'x'), "--cluster", "dgx-a100", "--gpus", "8"}).code ==
        2);
  const std::string deep = folder.file("deep.json", std::string(1'000'000, '['));
  CHECK(trainyard_with({"run", deep}).code == 2);
}

TEST_CASE("a list of many objects is read in time that grows with it") {
  const ScratchFolder folder;
  std::string stragglers;
  for (int i = 0; i < 300'000; ++i) {
    stragglers += fmt::format("{}{{\"node\": {}, \"slowdown\": 1.1}}", i == 0 ? "" : ",", i % 8);
  }
  const Outcome outcome = trainyard_with(
      {"memory", folder.file("many.json", R"({"model": "gpt2-xl", "cluster": "dgx-a100", "gpus": 64, "variation": )"
                                          R"({"stragglers": [)" +
                                              stragglers + "]}}")});
  CHECK(outcome.code == 0);
}

TEST_CASE("a pipe with a writer is a file like any other") {
  const Outcome outcome =
      shell(R"($T run <(echo '{"model": "gpt2-xl", "cluster": "dgx-a100", "gpus": 8, "network": "analytic"}'))");
  CHECK(outcome.code == 0);
}

TEST_CASE("what follows a JSON document, keys that are set twice and empty values are refused") {
  const ScratchFolder folder;
  std::string document = R"({"model": "gpt2-xl", "cluster": "dgx-a100", "gpus": 8})";
  document += '\0';
  document += "garbage";
  const Outcome outcome = trainyard_with({"run", folder.file("nul.json", document)});
  CHECK(outcome.code == 2);
  CHECK(outcome.err.find("a NUL byte") != std::string::npos);
  const std::string job = "run --model gpt2-xl --cluster dgx-a100 --gpus 8 ";
  CHECK(trainyard_line(job + R"(--set variation={"kernel_jitter":0.1,"kernel_jitter":0.2})").code == 2);
  const Outcome twice = trainyard_line(job + "--pp 2 --set layout.pp=4");
  CHECK(twice.code == 2);
  CHECK(twice.err.find("sets a key twice") != std::string::npos);
  CHECK(trainyard_line(job + "--set layout.vpp=1 --set layout={\"pp\":2}").code == 2);
  CHECK(trainyard_line(job + "--set layout={\"pp\":2} --set layout.vpp=1 --network analytic").code == 0);
  CHECK(trainyard_with({"run", "--model", "gpt2-xl", "--cluster", "dgx-a100", "--gpus", "8", "--json", ""}).code == 2);
  CHECK(trainyard_line(job + "--json=").code == 2);
}

TEST_CASE("options that would change nothing are refused or said") {
  const std::string job = " --model gpt2-xl --cluster dgx-a100 --gpus 8 ";
  CHECK(trainyard_line("run" + job + "--trace-ranks all").code == 2);
  CHECK(trainyard_line("collective --cluster dgx-a100 --gpus 8 --group all_reduce:1M,all_gather:1M --sizes 1M").code ==
        2);
  CHECK(trainyard_line("collective --cluster dgx-a100 --gpus 8 --group all_reduce:1M,all_gather:1M --all").code == 2);
  CHECK(trainyard_line("calibrate --gpu h100-sxm --network flow t.csv").code == 2);
  CHECK(trainyard_line("calibrate --framework megatron-core --parameters step --save t.csv").code == 2);
  const Outcome memory = trainyard_line("memory" + job + "--network analytic");
  CHECK(memory.code == 0);
  CHECK(memory.err.find("--network changes nothing here") != std::string::npos);
}

TEST_CASE("the option that gave a value is named, not the file") {
  const Outcome outcome =
      trainyard_line("run --model gpt2-xl --cluster dgx-a100 --gpus 8 --set training.data_parallel.strategy=dpp");
  CHECK(outcome.code == 2);
  CHECK(outcome.err.find("in: --set") != std::string::npos);
}

// The sanitizer itself needs descriptors and address space.
TEST_CASE("processes without descriptors, children or memory end in words" * doctest::skip(checks::kSanitized)) {
  const std::string job = "$T run --model gpt3-175b --cluster dgx-a100 --gpus 64 --tp 8 --pp 8 --global-batch 1024";
  const Outcome files = shell("exec 3>&-; ulimit -n 4; " + job);
  CHECK(files.code == 1);
  CHECK(files.err.find("cannot start another process") != std::string::npos);
  const Outcome memory = shell("ulimit -v 30000; " + job);
  CHECK((memory.code == 1 || memory.code == 2));
  CHECK(memory.err.find("internal error") == std::string::npos);
}

TEST_CASE("scores to compare with are scores") {
  const ScratchFolder folder;
  const std::string table = TRAINYARD_SOURCE_DIR "/validation/published/kernels/membound_stream.csv";
  for (const char* garbage :
       {"{}", "[]", "7", R"({"network": "flow"})", R"({"network": "flow", "sections": {}})",
        R"({"network": "flow", "sections": {"gemm": []}})",
        R"({"network": "flow", "sections": {"gemm": [{"name": "a"}]}})",
        R"({"network": "flow", "sections": {"gemm": [{"name": "a", "simulated": 3}]}})",
        R"({"network": "flow", "sections": {"gemm": [{"name": "a", "simulated": 3, "bias": "x"}]}})",
        R"({"network": "analytic", "sections": {"gemm": [{"name": "a", "simulated": 3, "bias": 1}]}})"}) {
    CAPTURE(garbage);
    CHECK(trainyard_with({"validate", "all", table, "--check", folder.file("scores.json", garbage)}).code == 2);
  }
}

}  // namespace trainyard::test_refusals
