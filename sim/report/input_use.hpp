#pragma once
// What of the input pipeline sets its pace, and what it would take for it not to starve the GPU.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/report/breakdown.hpp"
#include "sim/scenario/scenario.hpp"

namespace trainyard {

struct Layout;

// Of a key of the scenario, a value with which what it limits keeps up: the least one, where no host issues kernels
// while its device waits for samples.
struct InputNeed {
  std::string_view key;  // below "input"
  double value = 0.0;    // SI: a count, bytes a second
  std::string text;
};

// Of one rank that reads samples, over a step; copies as if nothing shared their links.
struct InputUse {
  Seconds read{};
  Seconds decode{};
  Seconds copy{};
  Seconds waited{};              // of the device
  std::string_view binds;        // the longest of the three: storage, decode, copy; none where none takes any time
  std::vector<InputNeed> needs;  // empty where the device does not wait, or for what no key of "input" is the cure
};

// Nothing where the scenario has no input. `breakdown` is that of a step of length `step`.
std::optional<InputUse> input_use(const Scenario& scenario, const Layout& layout, Seconds step,
                                  const Breakdown& breakdown);

Json input_use_json(const InputUse& use);
// One line, without its end.
std::string input_use_text(const InputUse& use, Seconds step);

}  // namespace trainyard
