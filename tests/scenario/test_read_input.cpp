#include <doctest/doctest.h>

#include <algorithm>

#include "sim/scenario/read_scenario.hpp"
#include "tests/scenario/scenario_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_read_input {

namespace {

Json fed(const char* input, const char* model = "resnet-50", const char* cluster = "dgx-a100") {
  Json document = {{"model", model}, {"cluster", cluster}, {"gpus", 16}};
  document["input"] = parse_json(input, "input");
  return document;
}

InputOptions input_of(const Json& document) {
  return *read_scenario(document, "job.json").input;
}

}  // namespace

TEST_CASE("nothing is asked of an input by default, and then nothing is echoed") {
  const Scenario scenario = read_scenario(main_job(), "job.json");
  CHECK_FALSE(scenario.input.has_value());
  CHECK_FALSE(scenario.resolved.contains("input"));
}

TEST_CASE("what is not stated of an input follows from model and node") {
  // 3 x 224 x 224 elements of four bytes; two sockets of 64 cores for eight GPUs.
  const InputOptions images = input_of(fed("{}"));
  CHECK(images.tensor.value == 3.0 * 224.0 * 224.0 * 4.0);
  CHECK(images.sample.value == 115400.0);
  CHECK(images.decode.value == 5.63e-3);
  CHECK(images.cores == 128);
  CHECK(images.workers == 16);
  CHECK(images.prefetch == 32);
  CHECK(images.storage.kind == StorageKind::kLocal);
  CHECK(images.storage.requests == 16);
  CHECK(images.copies == InputCopies::kAhead);
  // gpt2's 50,257 words fit in two bytes, Llama 3's 128,256 do not; ids and labels of eight bytes each.
  CHECK(input_of(fed("{}", "gpt2")).sample.value == 1024.0 * 2.0);
  CHECK(input_of(fed("{}", "gpt2")).tensor.value == 1024.0 * 16.0);
  Json llama = fed("{}", "llama-3-8b");
  llama["training"]["seq_len"] = 100;
  CHECK(input_of(llama).sample.value == 400.0);
}

TEST_CASE("an input is read, and what is echoed reads the same") {
  const Json document = fed(R"({"sample_bytes": "1 MB", "tensor_bytes": "2 MB", "decode": "3 ms", "workers": 5,
      "cores": 50, "prefetch": 0, "pinned": false, "storage": {"kind": "object", "node_bandwidth": "2 GB/s",
      "bandwidth": "10 GB/s", "latency": "7 ms", "requests": 12}})");
  const InputOptions input = input_of(document);
  CHECK(input.sample.value == 1e6);
  CHECK(input.tensor.value == 2e6);
  CHECK(input.decode.value == 3e-3);
  CHECK(input.workers == 5);
  CHECK(input.prefetch == 0);
  CHECK(input.copies == InputCopies::kBlocking);
  CHECK(input.storage.node_bandwidth->value == 2e9);
  CHECK(input.storage.bandwidth->value == 10e9);
  CHECK(input.storage.latency.value == 7e-3);
  CHECK(input.storage.requests == 12);
  for (const Json& one : {document, fed("{}"), fed("{}", "gpt2"), fed(R"({"storage": "nfs", "decode": "none"})")}) {
    const Scenario scenario = read_scenario(one, "job.json");
    CHECK(read_scenario(scenario.resolved, "echo.json").resolved == scenario.resolved);
  }
}

TEST_CASE("storage that is stated in part is otherwise that of its kind") {
  const InputOptions named = input_of(fed(R"({"storage": "object", "workers": 4})"));
  CHECK(named.storage.requests == 4);
  const InputOptions faster = input_of(fed(R"({"storage": {"kind": "object", "requests": 40}, "workers": 4})"));
  CHECK(faster.storage.latency == named.storage.latency);
  CHECK(faster.storage.node_bandwidth == named.storage.node_bandwidth);
  CHECK(faster.storage.requests == 40);
  const InputOptions memory = input_of(fed(R"({"storage": "memory"})"));
  CHECK_FALSE(memory.storage.node_bandwidth.has_value());
  CHECK_FALSE(memory.storage.bandwidth.has_value());
  CHECK(memory.storage.latency == Seconds{});
}

TEST_CASE("inputs that cannot be are refused where they are asked for") {
  const auto pointer = [](const Json& document) {
    const auto fault = refusal(document);
    REQUIRE(fault.has_value());
    CHECK_FALSE(fault->allowed.empty());
    return fault->pointer;
  };
  CHECK(pointer(fed(R"({"storage": "tape"})")) == "/input/storage");
  CHECK(pointer(fed(R"({"storage": {"kind": "tape"}})")) == "/input/storage/kind");
  CHECK(pointer(fed(R"({"storage": {"bandwidth": "0 GB/s"}})")) == "/input/storage/bandwidth");
  CHECK(pointer(fed(R"({"storage": {"node_bandwidth": "-1 GB/s"}})")) == "/input/storage/node_bandwidth");
  CHECK(pointer(fed(R"({"storage": {"latency": "-1 ms"}})")) == "/input/storage/latency");
  CHECK(pointer(fed(R"({"storage": {"requests": 0}})")) == "/input/storage/requests");
  CHECK(pointer(fed(R"({"storage": {"speed": "1 GB/s"}})")) == "/input/storage/speed");
  CHECK(pointer(fed(R"({"decode": "-1 ms"})")) == "/input/decode");
  CHECK(pointer(fed(R"({"decode": 5})")) == "/input/decode");
  CHECK(pointer(fed(R"({"decode": "png"})")) == "/input/decode");
  CHECK(pointer(fed(R"({"prefetch": -1})")) == "/input/prefetch");
  CHECK(pointer(fed(R"({"sample_bytes": "-1 B"})")) == "/input/sample_bytes");
  CHECK(pointer(fed(R"({"sample_bytes": 5})")) == "/input/sample_bytes");
  CHECK(pointer(fed(R"({"workers": 0})")) == "/input/workers");
  CHECK(pointer(fed(R"({"pinned": "yes"})")) == "/input/pinned");
  CHECK(pointer(fed(R"({"loader": "dali"})")) == "/input/loader");
  // Eight GPUs of 17 workers each want 136 of 128 cores; a node whose cores nobody states decodes nothing.
  CHECK(pointer(fed(R"({"workers": 17})")) == "/input/workers");
  CHECK_FALSE(refusal(fed(R"({"workers": 17, "cores": 256})")).has_value());
  CHECK(pointer(fed("{}", "resnet-50", "aws-p4d")) == "/input/cores");
  CHECK(pointer(fed(R"({"workers": 2})", "resnet-50", "aws-p4d")) == "/input/cores");
  CHECK_FALSE(refusal(fed(R"({"decode": "none"})", "resnet-50", "aws-p4d")).has_value());
  // A torus of devices has no hosts to copy from: who asks is refused, who does not goes without.
  CHECK(pointer(fed(R"({"cores": 100, "tensor_bytes": "1 MB"})", "gpt2", "tpu-v5e-pod")) == "/input/tensor_bytes");
  const Scenario torus = read_scenario(fed(R"({"cores": 100})", "gpt2", "tpu-v5e-pod"), "job.json");
  CHECK(torus.input->tensor == Bytes{});
  CHECK(std::count_if(torus.notes.begin(), torus.notes.end(),
                      [](const std::string& note) { return note.starts_with("samples are not copied"); }) == 1);
}

TEST_CASE("keys of an input that change nothing are noted") {
  const auto notes = [](const char* input) {
    const Scenario scenario = read_scenario(fed(input), "job.json");
    return std::count_if(scenario.notes.begin(), scenario.notes.end(), [](const std::string& note) {
      return note.starts_with("input.") && note.find("changes nothing here") != std::string::npos;
    });
  };
  CHECK(notes("{}") == 0);
  CHECK(notes(R"({"workers": 2, "cores": 128, "pinned": false, "sample_bytes": "1 MB"})") == 0);
  CHECK(notes(R"({"storage": "memory", "sample_bytes": "1 MB"})") == 1);
  CHECK(notes(R"({"storage": "memory", "decode": "none", "workers": 2, "cores": 128})") == 2);
  CHECK(notes(R"({"storage": {"kind": "memory", "requests": 4}})") == 1);
  CHECK(notes(R"({"tensor_bytes": "0 B", "pinned": false})") == 1);
}

}  // namespace test_read_input
