// A key that a note says changes nothing changes nothing.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/theory/whole_jobs.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_idle_keys {

namespace {

const char* const kAlone = R"({"model": "gpt2", "cluster": "dgx-a100", "gpus": 2, "network": "analytic",
    "training": {"seq_len": 128, "global_batch": 4}})";
const char* const kShared = R"({"model": "gpt2", "cluster": "dgx-a100", "gpus": 4, "network": "analytic",
    "layout": {"tp": 2, "pp": 2, "layers_per_stage": [6, 6]}, "training": {"seq_len": 128, "global_batch": 4}})";

std::ptrdiff_t notes_with(const Scenario& scenario, std::string_view words) {
  return std::count_if(scenario.notes.begin(), scenario.notes.end(),
                       [words](const std::string& note) { return note.find(words) != std::string::npos; });
}

}  // namespace

TEST_CASE("stated keys that nothing reads are noted, and change nothing") {
  const Report plain = predict(job(kAlone)).report;
  for (const std::string change :
       {"layout.cp_type=ulysses", "layout.cp_inner=2", "layout.sequence_parallel=true", "layout.tp_overlap=true",
        "layout.embedding=as-layer", "layout.loss=as-layer", "training.p2p=batched", "training.offload.prefetch=false",
        "training.weight_copies=1", "seed=5"}) {
    CAPTURE(change);
    const Scenario idle = job(kAlone, {change});
    CHECK(notes_with(idle, change.substr(0, change.find('=')) + " changes nothing here") == 1);
    const Report report = predict(idle).report;
    CHECK(report.step == plain.step);
    CHECK(report.memory.peak == plain.memory.peak);
  }
  const std::string whole = "training.zero_stage=0";
  const Report unsharded = predict(job(kAlone, {whole})).report;
  for (const std::string change :
       {"training.data_parallel.parameter_gather=before-use", "training.data_parallel.shard_gradients=all-reduce"}) {
    CAPTURE(change);
    const Scenario idle = job(kAlone, {whole, change});
    CHECK(notes_with(idle, change.substr(0, change.find('=')) + " changes nothing here") == 1);
    CHECK(notes_with(job(kAlone, {change}), "changes nothing here") == 0);  // ZeRO stage 1
    const Report report = predict(idle).report;
    CHECK(report.step == unsharded.step);
    CHECK(report.memory.peak == unsharded.memory.peak);
  }
  const char* const experts = R"({"model": "mixtral-8x7b", "cluster": "dgx-h100", "gpus": 32, "network": "analytic",
      "layout": {"tp": 4, "ep": 8, "etp": 1}, "training": {"seq_len": 128}})";
  CHECK(notes_with(job(experts, {"seed=5"}), "seed changes nothing here") == 1);
  CHECK(notes_with(job(experts, {"seed=5", "training.experts.routing.zipf=0.5"}), "seed changes nothing here") == 0);
  const std::vector<std::string> fp32 = {"training.precision=fp32", "training.master_dtype=bf16"};
  CHECK(notes_with(job(kAlone, fp32), "training.master_dtype changes nothing here") == 1);
  CHECK(notes_with(job(kAlone, {"fold=false"}), "one rank of each class") == 1);
}

TEST_CASE("keys that are read, or state what holds anyway, are not noted") {
  for (const char* change : {"layout.sequence_parallel=true", "layout.tp_overlap=true", "training.p2p=batched",
                             "training.master_dtype=bf16", "fold=true", "layout.cp_type=ring"}) {
    CAPTURE(change);
    CHECK(notes_with(job(kShared, {change}), "changes nothing here") == 0);
  }
  const Scenario resolved = job(job(kAlone).resolved.dump());
  CHECK(notes_with(resolved, "changes nothing here") == 0);
}

TEST_CASE("a ZeRO stage that is another strategy's says whose") {
  CHECK(notes_with(job(kAlone, {"training.zero_stage=2"}), "data_parallel deepspeed") == 1);
  CHECK(notes_with(job(kAlone, {"training.zero_stage=1"}), "data_parallel") == 0);
}

}  // namespace test_idle_keys
