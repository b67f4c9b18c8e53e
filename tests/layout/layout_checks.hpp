#pragma once
// Scenarios for layouts: one short JSON text each.
#include <string>

#include "sim/scenario/read_scenario.hpp"
#include "sim/scenario/scenario.hpp"

namespace trainyard::checks {

inline Scenario scenario_of(const std::string& text) {
  return read_scenario(parse_json(text, "job.json"), "job.json");
}

}  // namespace trainyard::checks
