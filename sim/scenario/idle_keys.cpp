#include "sim/scenario/idle_keys.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace trainyard {
namespace {

struct IdleKey {
  std::string_view key;
  std::string_view why;
  bool (*is_stated)(const Scenario&);  // differs from its default
  bool (*is_read)(const Scenario&);
};

bool draws(const Scenario& scenario) {
  return scenario.variation.any() || scenario.model.experts.has_value();
}

constexpr std::array<IdleKey, 4> kIdleKeys = {
    {{"layout.cp_type", "cp is 1, so no sequence is cut",
      [](const Scenario& s) { return s.layout.context_parallel != Parallelism{}.context_parallel; },
      [](const Scenario& s) { return s.layout.cp > 1; }},
     {"layout.cp_inner", "only cp_type hierarchical has inner groups",
      [](const Scenario& s) { return s.layout.context_inner != Parallelism{}.context_inner; },
      [](const Scenario& s) { return s.layout.cp > 1 && s.layout.context_parallel == ContextParallel::kHierarchical; }},
     {"training.offload.prefetch", "nothing is offloaded",
      [](const Scenario& s) { return s.training.offload.prefetch != OffloadOptions{}.prefetch; },
      [](const Scenario& s) { return s.training.offload.any(); }},
     {"seed", "nothing is drawn: no variation, no experts", [](const Scenario& s) { return s.seed != 0; }, draws}}};

}  // namespace

std::vector<std::string> idle_keys(const Scenario& scenario) {
  std::vector<std::string> notes;
  for (const IdleKey& one : kIdleKeys) {
    if (one.is_stated(scenario) && !one.is_read(scenario)) {
      notes.push_back(fmt::format("{} changes nothing here: {}", one.key, one.why));
    }
  }
  return notes;
}

}  // namespace trainyard
