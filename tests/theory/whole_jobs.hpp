#pragma once
// Whole jobs through the pipe, several at once, each in a child process.
#include <filesystem>
#include <string>
#include <vector>

#include "sim/predict/predict.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "sim/scenario/set_key.hpp"
#include "tests/engine/in_child.hpp"

namespace trainyard::checks {

inline Scenario job(const std::string& text, const std::vector<std::string>& changes = {}) {
  Json document = parse_json(text, "job.json");
  for (const std::string& change : changes) {
    set_key(document, change);
  }
  return read_scenario(document, "job.json");
}

// A job that once broke a law.
inline Scenario case_file(const std::string& name, const std::vector<std::string>& changes = {}) {
  const std::filesystem::path file =
      std::filesystem::path(TRAINYARD_SOURCE_DIR) / "tests" / "laws" / "cases" / (name + ".json");
  Json document = read_json_file(file);
  for (const std::string& change : changes) {
    set_key(document, change);
  }
  return read_scenario(document, file.string());
}

inline std::vector<Json> timelines_of_jobs(const std::vector<Scenario>& jobs) {
  std::vector<std::function<Timeline()>> simulations;
  for (const Scenario& scenario : jobs) {
    simulations.emplace_back([&scenario] { return predict(scenario).timeline; });
  }
  return timelines_of(simulations);
}

// Small jobs of many shapes; all run in well under a second, folded or not.
inline const std::vector<std::string>& small_jobs() {
  static const std::vector<std::string> kJobs = {
      // one node: tensor, data and pipeline parallelism
      R"({"model": "gpt2", "cluster": "dgx-a100", "gpus": 1, "training": {"global_batch": 4}})",
      R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 8, "training": {"global_batch": 16}})",
      R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 8, "layout": {"tp": 8}, "training": {"global_batch": 4}})",
      R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 8, "layout": {"tp": 2, "pp": 2},
          "training": {"global_batch": 16}, "framework": "megatron-lm-2022"})",
      R"({"model": "llama-2-7b", "cluster": "dgx-h100", "gpus": 8, "layout": {"tp": 2, "pp": 4, "vpp": 2},
          "training": {"global_batch": 8}})",
      // several nodes
      R"({"model": "megatron-1.7b", "cluster": "dgx-a100", "gpus": 32, "layout": {"tp": 8, "pp": 2},
          "training": {"global_batch": 16}})",
      R"({"model": "megatron-1.7b", "cluster": "dgx-a100", "gpus": 32, "layout": {"tp": 4, "pp": 4},
          "training": {"global_batch": 16, "zero_stage": 1, "schedule": "gpipe"}, "framework": "megatron-lm-2022"})",
      R"({"model": "megatron-1.7b", "cluster": "dgx-a100", "gpus": 24, "layout": {"tp": 2, "pp": 4, "dp": 3},
          "training": {"global_batch": 12}})",
      R"({"model": "megatron-1.7b", "cluster": "dgx-a100", "gpus": 16,
          "layout": {"tp": 1, "pp": 4, "order": "tp-cp-ep-pp-dp"}, "training": {"global_batch": 16}})",
      // context parallelism in its four forms
      R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 16, "layout": {"cp": 4, "tp": 2},
          "training": {"global_batch": 4}})",
      R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 16, "layout": {"cp": 16, "cp_type": "all_gather"},
          "training": {"global_batch": 2}})",
      R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 16, "layout": {"cp": 4, "pp": 2, "cp_type": "ulysses"},
          "training": {"global_batch": 8}})",
      R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 16,
          "layout": {"cp": 16, "cp_type": "hierarchical", "cp_inner": 8}, "training": {"global_batch": 2}})",
      // experts: over all ranks of a stage, cut by tensor parallelism, with unequal loads
      R"({"model": "qwen1.5-moe-a2.7b", "cluster": "dgx-h100", "gpus": 16, "layout": {"pp": 2, "tp": 2, "ep": 4, "etp": 1},
          "training": {"global_batch": 8}})",
      R"({"model": "qwen1.5-moe-a2.7b", "cluster": "dgx-h100", "gpus": 8, "layout": {"tp": 2, "ep": 4, "etp": 2},
          "training": {"global_batch": 8, "experts": {"routing": {"zipf": 0.5}, "dispatcher": "all_gather"}}})",
      // exchanges with experts beside the passes of other micro-batches, alone and in a pipeline
      R"({"model": "qwen1.5-moe-a2.7b", "cluster": "dgx-h100", "gpus": 16, "layout": {"ep": 4, "ep_overlap": true},
          "training": {"global_batch": 64}})",
      R"({"model": "qwen1.5-moe-a2.7b", "cluster": "dgx-h100", "gpus": 8,
          "layout": {"pp": 2, "vpp": 2, "ep": 4, "ep_overlap": true}, "training": {"global_batch": 16}})",
      // states and activations on the host (of one node: between nodes NICs and copies share links)
      R"({"model": "gpt2-medium", "cluster": "dgx-h100", "gpus": 8, "layout": {"tp": 2, "pp": 2},
          "training": {"global_batch": 16, "offload": {"optimizer": 0.5, "activations": 0.5}}})",
      R"({"model": "gpt2-medium", "cluster": "dgx-h100", "gpus": 8, "framework": "torchtitan",
          "training": {"global_batch": 16, "offload": {"weights": 1}}})",
      // two GPUs share a NIC
      R"({"model": "megatron-1.7b", "cluster": "a100-hdr-800g", "gpus": 32, "layout": {"tp": 2, "pp": 4},
          "training": {"global_batch": 16}})",
      R"({"model": "megatron-1.7b", "cluster": "a100-hdr-800g", "gpus": 32, "layout": {"tp": 8, "pp": 2},
          "training": {"global_batch": 16, "zero_stage": 1}})"};
  return kJobs;
}

}  // namespace trainyard::checks
