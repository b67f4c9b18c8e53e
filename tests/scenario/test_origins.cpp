#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "models/load_model.hpp"
#include "sim/scenario/origins.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "tests/scenario/scenario_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_origins {

namespace {

using OriginOf = std::map<std::string, ValueOrigin>;

OriginOf origins(const Json& document) {
  OriginOf out;
  for (const ValueOrigin& value : origins_of(read_scenario(document, "job.json"), document)) {
    const bool is_new = out.emplace(value.pointer, value).second;
    CHECK_MESSAGE(is_new, value.pointer);
  }
  return out;
}

// Pointers of everything that is no object, but for model and cluster, which are stated whole.
void add_leaves(const Json& value, const std::string& pointer, std::set<std::string>& out) {
  if (!value.is_object() || pointer == "/model" || pointer == "/cluster") {
    out.insert(pointer);
    return;
  }
  for (const auto& [key, member] : value.items()) {
    add_leaves(member, pointer + "/" + key, out);
  }
}

std::set<std::string> leaves(const Json& resolved) {
  std::set<std::string> out;
  add_leaves(resolved, "", out);
  return out;
}

// Jobs that between them use every kind of key.
std::vector<Json> jobs() {
  const auto job = [](std::string_view text) { return parse_json(text, "job.json"); };
  std::vector<Json> out = {main_job(), job(R"({"model": "gpt2", "cluster": "dgx-a100", "gpus": 1})")};
  out.push_back(job(R"({"model": "mixtral-8x7b", "cluster": "dgx-h100", "gpus": 64, "layout": {"tp": 2, "ep": 8}})"));
  out.push_back(job(R"({"model": "llama-3-8b", "cluster": "dgx-1-v100", "gpus": 16, "framework": "torchtitan",
                        "training": {"recompute": "full", "data_parallel": "hsdp"}})"));
  out.push_back(job(R"({"model": "llama-2-7b", "cluster": "dgx-h100", "gpus": 16,
                        "layout": {"pp": 4, "sequence_parallel": true},
                        "training": {"global_batch": 64, "schedule": "zb-v", "offload": {"activations": 0.5}},
                        "variation": {"kernel_jitter": 0.01}})"));
  out.push_back(job(R"({"model": "llama-2-7b", "cluster": "dgx-h100", "gpus": 16,
                        "training": {"zero_stage": 3, "precision": "fp8", "param_dtype": "fp32"}})"));
  out.push_back(job(R"({"model": "llama-2-7b", "cluster": "mixed-a100-h100", "gpus": 64, "layout": {"tp": 8, "pp": 2},
                        "training": {"global_batch": 64}, "network": "analytic", "seed": 3})"));
  return out;
}

Json leaf(const Json& document, const std::string& pointer) {
  const Json::json_pointer place(pointer);
  return document.contains(place) ? document.at(place) : Json();
}

}  // namespace

TEST_CASE("every value that is used has one origin, and nothing else has") {
  for (const Json& job : jobs()) {
    std::set<std::string> explained;
    for (const auto& [pointer, value] : origins(job)) {
      explained.insert(pointer);
    }
    CHECK(explained == leaves(read_scenario(job, "job.json").resolved));
  }
}

TEST_CASE("values of the main job come from those who say them") {
  const OriginOf of = origins(main_job());
  CHECK(of.at("/model").origin == Origin::kStated);
  CHECK(of.at("/layout/tp").origin == Origin::kStated);
  CHECK(of.at("/training/global_batch").origin == Origin::kStated);
  CHECK(of.at("/gpu").origin == Origin::kCatalogue);
  CHECK(of.at("/gpu").why == "cluster dgx-a100");
  CHECK(of.at("/training/seq_len").why == "model gpt3-175b");
  CHECK(of.at("/training/recompute").origin == Origin::kProfile);
  CHECK(of.at("/training/recompute").why == "profile megatron-lm-2022");
  CHECK(of.at("/layout/cp_type").origin == Origin::kDefault);
  CHECK(of.at("/seed").origin == Origin::kDefault);
}

TEST_CASE("what follows from other values says from which") {
  const OriginOf dense = origins(jobs()[1]);
  CHECK(dense.at("/layout/dp").origin == Origin::kDerived);
  CHECK(dense.at("/layout/dp").why.find("GPUs") != std::string::npos);
  CHECK(dense.at("/training/global_batch").origin == Origin::kDerived);
  CHECK(dense.at("/layout/sequence_parallel").why.find("tp 1") != std::string::npos);  // the profile says on
  CHECK(origins(jobs()[2]).at("/layout/etp").why.find("tp") == 0);
  // The profile says bf16, which a V100 lacks, and ZeRO 2 or 3 are not the profile's but the strategy's.
  CHECK(origins(jobs()[3]).at("/training/precision").origin == Origin::kDerived);
  CHECK(origins(jobs()[4]).at("/layout/vpp").why.find("schedule") != std::string::npos);
  CHECK(origins(jobs()[5]).at("/training/data_parallel/strategy").why == "the ZeRO stage");
}

TEST_CASE("a stated value that is overruled is not the user's, one that is spelled otherwise is") {
  const ValueOrigin overruled = origins(jobs()[4]).at("/layout/sequence_parallel");
  CHECK(overruled.origin == Origin::kDerived);
  CHECK(overruled.why.find("stated: true") != std::string::npos);
  const OriginOf of = origins(main_job_with({"gpu=A100_80", "training.data_parallel=megatron"}));
  CHECK(of.at("/gpu").origin == Origin::kStated);
  CHECK(of.at("/gpu").why == "as \"A100_80\"");
  CHECK(of.at("/training/data_parallel/strategy").origin == Origin::kStated);
  CHECK(of.at("/training/data_parallel/bucket_parameters").origin != Origin::kStated);
}

TEST_CASE("a document that states every value leaves nothing to others") {
  for (const Json& job : jobs()) {
    const Json resolved = read_scenario(job, "job.json").resolved;
    for (const auto& [pointer, value] : origins(resolved)) {
      CAPTURE(pointer);
      CHECK(value.origin == Origin::kStated);
    }
  }
}

TEST_CASE("what another model or cluster would change is no default") {
  const auto check_against = [](const Json& job, const std::string& key, const std::vector<std::string>& names) {
    const OriginOf of = origins(job);
    std::size_t changes = 0;
    for (const std::string& name : names) {
      Json other = job;
      other[key] = name;
      Json resolved;
      try {
        resolved = read_scenario(other, "job.json").resolved;
      } catch (const UserError&) {
        continue;  // not every profile takes every layout
      }
      for (const auto& [pointer, value] : of) {
        if (leaf(resolved, pointer) != value.value && !leaf(resolved, pointer).is_null()) {
          CAPTURE(key);
          CAPTURE(name);
          CAPTURE(pointer);
          CHECK(value.origin != Origin::kDefault);
          ++changes;
        }
      }
    }
    CHECK(changes > 0);
  };
  const Json job = jobs()[1];
  check_against(job, "model", model_names());
  check_against(job, "cluster", cluster_names());
  check_against(main_job(), "cluster", cluster_names());
}

TEST_CASE("a value of the profile is what its file says, and a default what other questions have too") {
  // By pointer, the defaults that any job was given.
  std::map<std::string, Json> defaults;
  for (const std::string& framework : framework_names()) {
    for (Json job : jobs()) {
      job["framework"] = framework;
      OriginOf of;
      try {
        of = origins(job);
      } catch (const UserError&) {
        continue;
      }
      for (const auto& [pointer, value] : of) {
        CAPTURE(framework);
        CAPTURE(pointer);
        if (value.origin == Origin::kDefault) {
          CHECK(defaults.emplace(pointer, value.value).first->second == value.value);
        }
        // A file that was not asked for would say another name.
        CHECK((value.origin != Origin::kProfile || value.why == "profile " + framework));
      }
    }
  }
  CHECK(defaults.size() > 20);
}

}  // namespace test_origins
