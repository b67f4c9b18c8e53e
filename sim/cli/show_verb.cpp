#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "sim/base/json_text.hpp"
#include "sim/cli/scenario_options.hpp"
#include "sim/cli/verbs.hpp"
#include "sim/memory/memory_estimate.hpp"
#include "sim/predict/predict.hpp"
#include "sim/program/assembly/build_program.hpp"
#include "sim/report/explanation.hpp"
#include "sim/report/report.hpp"
#include "sim/scenario/origins.hpp"
#include "sim/scenario/place.hpp"

namespace trainyard {
namespace {

enum class Part { kScenario, kLayout, kProgram, kMemory, kAll };
constexpr NameTable<Part, 5> kPartNames{{{{"scenario", Part::kScenario},
                                          {"layout", Part::kLayout},
                                          {"program", Part::kProgram},
                                          {"memory", Part::kMemory},
                                          {"all", Part::kAll}}}};

struct ShowOptions {
  ScenarioOptions scenario;
  JsonOutput json;
  std::string part = "all";
};

// Who says a value: the file or the option that states it, or what trainyard took it from.
std::string origin_text(const ValueOrigin& value, const ScenarioOptions::Asked& asked, const ScenarioOptions& options) {
  if (value.origin == Origin::kStated) {
    const std::string source = options.named(UserError({.file = asked.file, .pointer = value.pointer})).fault().file;
    return value.why.empty() ? source : fmt::format("{}, {}", source, value.why);
  }
  switch (value.origin) {
    case Origin::kCatalogue:
      return value.why;
    case Origin::kDerived:
      return "derived: " + value.why;
    default:
      return value.why.empty() ? std::string(kOriginNames.name_of(value.origin)) : value.why;
  }
}

std::string scenario_text(const std::vector<ValueOrigin>& values, const ScenarioOptions::Asked& asked,
                          const ShowOptions& options) {
  std::size_t keys = 0;
  std::size_t texts = 0;
  constexpr std::size_t kWidest = 24;
  for (const ValueOrigin& value : values) {
    keys = std::max(keys, dotted(value.pointer).size());
    texts = std::max(texts, std::min(kWidest, plain_text(value.value).size()));
  }
  std::string out = "scenario: every value, and who says it\n";
  for (const ValueOrigin& value : values) {
    out += fmt::format("  {:<{}}  {:<{}}  {}\n", dotted(value.pointer), keys, plain_text(value.value), texts,
                       origin_text(value, asked, options.scenario));
  }
  return out;
}

Json scenario_json(const std::vector<ValueOrigin>& values, const ScenarioOptions::Asked& asked,
                   const ShowOptions& options) {
  Json out = Json::array();
  for (const ValueOrigin& value : values) {
    out.push_back({{"key", dotted(value.pointer)},
                   {"value", value.value},
                   {"origin", kOriginNames.name_of(value.origin)},
                   {"from", origin_text(value, asked, options.scenario)}});
  }
  return out;
}

// Nothing is simulated; a layout that does not fit is explained like any other.
void show(const ShowOptions& options) {
  const Part part = named_choice("--part", options.part, kPartNames);
  const auto wants = [part](Part one) { return part == one || part == Part::kAll; };
  options.scenario.note_unused({"--network", "--fold"}, "nothing is simulated");
  const ScenarioOptions::Asked asked = options.scenario.asked();
  const Scenario scenario = options.scenario.read(asked);
  options.json.check();
  const Layout layout = make_layout(scenario);
  std::string text;
  Json json;
  if (wants(Part::kScenario)) {
    const std::vector<ValueOrigin> values = origins_of(scenario, asked.document);
    text += scenario_text(values, asked, options) + notes_text(scenario.notes);
    json["scenario"] = scenario_json(values, asked, options);
  }
  if (wants(Part::kLayout)) {
    text += layout_text(scenario, layout);
    json["layout"] = layout_json(scenario, layout);
  }
  if (part == Part::kProgram) {
    refuse_updates(scenario, "a program is of one step");
  }
  if (wants(Part::kProgram) && !scenario.training.strategy) {
    const ScenarioKernelCosts costs(scenario);
    const Program program = build_program(scenario, layout, costs.by_kind());
    text += program_text(scenario, layout, program, costs.by_kind(),
                         part == Part::kProgram ? Detail::kFull : Detail::kBrief);
    json["program"] = program_json(scenario, layout, program, costs.by_kind());
  }
  if (wants(Part::kMemory)) {
    const MemoryEstimate memory = estimate_memory(scenario, layout);
    text +=
        part == Part::kMemory ? memory_text(scenario, layout, memory) : memory_summary_text(scenario, layout, memory);
    json["memory"] = memory_json(memory);
  }
  if (!options.json.to_stdout()) {
    print_text(std::string_view(text));
  }
  json["notes"] = scenario.notes;
  options.json.write(json);
}

}  // namespace

void add_show_verb(CLI::App& app) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* verb = app.add_subcommand("show", "what would be simulated, and where every value comes from");
  options->scenario.add_to(*verb);
  options->json.add_to(*verb);
  verb->add_option("--part", options->part, "scenario, layout, program or memory; without it all, in brief");
  verb->callback([options] { show(*options); });
}

}  // namespace trainyard
