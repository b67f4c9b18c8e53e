#pragma once
// What a row of a table of training runs states, as keys of the scenario.
#include <string>
#include <vector>

#include "sim/base/json_reader.hpp"

namespace trainyard {

// One key of the scenario as a row states it. Several values: the source leaves open which of them held.
struct RunSetting {
  std::string column;
  std::string path;  // of the scenario: "layout.tp"
  std::vector<Json> values;
};

struct StatedSettings {
  std::vector<RunSetting> settings;
  std::vector<std::string> assumed;  // in words: what is not modelled or not known, and what is taken instead
};

}  // namespace trainyard
