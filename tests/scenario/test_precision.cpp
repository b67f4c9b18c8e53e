// Formats that GPUs lack, and lengths that nobody stated.
#include <doctest/doctest.h>

#include <algorithm>

#include "kernels/calibration.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "tests/scenario/scenario_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_precision {

namespace {

Json job_on(const char* cluster, const char* framework = "megatron-core") {
  Json document = parse_json(R"({"model": "gpt2", "gpus": 8, "layout": {"tp": 1},
      "training": {"global_batch": 8, "seq_len": 1024}})",
                             "job.json");
  document["cluster"] = cluster;
  document["framework"] = framework;
  return document;
}

bool has_note(const Scenario& scenario, std::string_view word) {
  return std::any_of(scenario.notes.begin(), scenario.notes.end(),
                     [word](const std::string& note) { return note.find(word) != std::string::npos; });
}

}  // namespace

TEST_CASE("the profile's format gives way to one that the GPU has, aloud") {
  const Scenario volta = read_scenario(job_on("dgx-1-v100"), "job.json");
  CHECK(volta.training.precision == Precision::kFp16);
  CHECK(has_note(volta, "v100"));
  CHECK(volta.resolved["training"]["precision"] == "fp16");
  const Scenario kepler = read_scenario(job_on("aws-p2"), "job.json");
  CHECK(kepler.training.precision == Precision::kFp32);
  CHECK(has_note(kepler, "k80"));
  const Scenario ampere = read_scenario(job_on("dgx-a100"), "job.json");
  CHECK(ampere.training.precision == Precision::kBf16);
  CHECK(ampere.notes.empty());
  // Gradients in the model's format follow it.
  CHECK(read_scenario(job_on("dgx-1-v100", "deepspeed"), "job.json").training.grad_dtype == Precision::kFp16);
}

TEST_CASE("a format that is asked for and that the GPU lacks is refused with those it has") {
  struct Row {
    const char* cluster;
    const char* precision;
    const char* allowed;
  };
  for (const Row& row : {Row{"dgx-1-v100", "bf16", "fp32, fp16"}, Row{"dgx-1-v100", "tf32", "fp32, fp16"},
                         Row{"dgx-a100", "fp8", "fp32, tf32, fp16, bf16"},
                         Row{"dgx-h100", "fp4", "fp32, tf32, fp16, bf16, fp8, fp8_block"},
                         Row{"dgx-h100", "nvfp4", "fp32, tf32, fp16, bf16, fp8, fp8_block"},
                         Row{"dgx-h100", "mxfp8", "fp32, tf32, fp16, bf16, fp8, fp8_block"},
                         Row{"mixed-a100-h100", "fp8", "fp32, tf32, fp16, bf16"}}) {
    CAPTURE(row.cluster);
    CAPTURE(row.precision);
    Json document = job_on(row.cluster);
    document["gpus"] = row.cluster == std::string_view("mixed-a100-h100") ? 1024 : 8;
    document["training"]["global_batch"] = document["gpus"];
    document["training"]["precision"] = row.precision;
    const auto fault = refusal(document);
    REQUIRE(fault.has_value());
    CHECK(fault->pointer == "/training/precision");
    CHECK(fault->allowed == row.allowed);
  }
  Json blackwell = job_on("dgx-b200");
  blackwell["training"]["precision"] = "nvfp4";
  CHECK_FALSE(refusal(blackwell).has_value());
}

TEST_CASE("sequences that nobody asked for are at most 8192 tokens long, and their length is said") {
  const auto of = [](std::int64_t positions) {
    Json document = job_on("dgx-a100");
    document["training"].erase("seq_len");
    document["model"] = parse_json(R"({"model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 100})",
                                   "config.json");
    document["model"]["max_position_embeddings"] = positions;
    return read_scenario(document, "job.json");
  };
  CHECK(of(131'072).training.seq_len == 8192);
  CHECK(has_note(of(131'072), "131072"));
  CHECK(has_note(of(131'072), "--seq-len"));
  CHECK(of(4096).training.seq_len == 4096);
  CHECK(has_note(of(4096), "4096"));
}

TEST_CASE("an attention kernel that no calibration knows is no profile's") {
  const Json known = "cuDNN";
  CHECK(measured_attention_kernel(JsonReader(known, "f.json", "/attention_kernel")) == "cuDNN");
  const Json unknown = "cuDMM";
  try {
    measured_attention_kernel(JsonReader(unknown, "f.json", "/attention_kernel"));
    FAIL("no error was raised");
  } catch (const UserError& error) {
    CHECK(error.fault().pointer == "/attention_kernel");
    CHECK(error.fault().nearest == "cuDNN");
  }
}

}  // namespace test_precision
