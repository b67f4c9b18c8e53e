#pragma once
// A valid scenario to start from, and what is wrong with one that is not.
#include <optional>
#include <string>

#include "sim/scenario/read_scenario.hpp"
#include "sim/scenario/scenario.hpp"
#include "sim/scenario/set_key.hpp"

namespace trainyard::checks {

// The project's main job: every key of the contract is given but those of `training` that have defaults.
inline Json main_job() {
  return parse_json(R"({"model": "gpt3-175b", "cluster": "dgx-a100", "gpus": 1024,
                        "layout": {"tp": 8, "pp": 8, "dp": 16},
                        "training": {"micro_batch": 1, "global_batch": 1536},
                        "framework": "megatron-lm-2022"})",
                    "job.json");
}

// The main job with some keys set: {"layout.tp=4", ...}.
inline Json main_job_with(std::initializer_list<std::string_view> assignments) {
  Json document = main_job();
  for (const std::string_view assignment : assignments) {
    set_key(document, assignment);
  }
  return document;
}

// The fault of a document that must be refused as bad input; nothing when it was read.
inline std::optional<Fault> refusal(const Json& document) {
  try {
    read_scenario(document, "job.json");
    return std::nullopt;
  } catch (const UserError& error) {
    return error.code() == ExitCode::kBadInput ? std::optional(error.fault()) : std::nullopt;
  }
}

}  // namespace trainyard::checks
