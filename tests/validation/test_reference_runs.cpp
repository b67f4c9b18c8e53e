// Published runs, step by step by SimGrid alone. TRAINYARD_REFERENCE_RUNS=N takes every N-th row (1: all of them).
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/fork_pool.hpp"
#include "sim/predict/predict.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "tests/sanitized.hpp"
#include "validation/score/scoreboard.hpp"
#include "validation/tables/run_row.hpp"

using namespace trainyard;

namespace test_reference_runs {

namespace {

std::size_t every() {
  constexpr std::size_t kSampled = checks::kSanitized ? 1000 : 150;  // SimGrid's actors are threads there
  const char* const asked = std::getenv("TRAINYARD_REFERENCE_RUNS");
  return asked == nullptr ? kSampled : static_cast<std::size_t>(std::max(1, std::atoi(asked)));
}

Json figures(Json document, const char* network) {
  document["network"] = network;
  const Prediction prediction = predict(read_scenario(document, "row"));
  Json out = {{"step", prediction.report.step.value}, {"events", prediction.timeline.events}};
  for (const Breakdown::Part& part : prediction.report.breakdown.parts()) {
    out["parts"][std::string(part.name)] = part.time.value;
  }
  for (const LinkUse& link : prediction.report.links) {
    out["links"][link.name] = link.bytes.value;
  }
  return out;
}

// What differs by more than 1e-9 of the step, or of the bytes.
std::string difference(const Json& flow, const Json& simgrid) {
  const double step = flow.at("step");
  if (std::abs(simgrid.at("step").get<double>() - step) > 1e-9 * step) {
    return fmt::format("step {} by flow, {} by SimGrid", step, simgrid.at("step").get<double>());
  }
  for (const auto& [name, time] : flow.at("parts").items()) {
    if (std::abs(simgrid.at("parts").at(name).get<double>() - time.get<double>()) > 1e-9 * step) {
      return fmt::format("{} {} by flow, {} by SimGrid", name, time.get<double>(),
                         simgrid.at("parts").at(name).get<double>());
    }
  }
  if (flow.value("links", Json()) != simgrid.value("links", Json()) || flow.at("events") != simgrid.at("events")) {
    return "links or events";
  }
  return "";
}

}  // namespace

TEST_CASE("published runs are the same by SimGrid alone") {
  std::vector<Json> scenarios;
  std::vector<std::string> names;
  std::size_t number = 0;
  for (const std::filesystem::path& path : published_tables()) {
    if (path.parent_path().filename() != "runs") {
      continue;
    }
    const CsvTable table = CsvTable::read(path);
    for (std::size_t row = 0; row < table.rows(); ++row) {
      RunRow read = read_run_row(table, row);
      if (!read.scenarios.empty() && number++ % every() == 0) {
        scenarios.push_back(std::move(read.scenarios.front()));
        names.push_back(fmt::format("{} of {}", read.id, path.filename().string()));
      }
    }
  }
  REQUIRE(!scenarios.empty());
  const auto outputs = run_in_children(scenarios.size(), available_processors(), [&](std::size_t task) -> std::string {
    std::optional<Json> flow;
    try {
      flow = figures(scenarios[task], "flow");
    } catch (const UserError&) {
      return "";  // refused, and refused alike by every engine: nothing is simulated
    }
    return difference(*flow, figures(scenarios[task], "simgrid"));
  });
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    CAPTURE(names[i]);
    REQUIRE(outputs[i].has_value());
    CHECK_MESSAGE(outputs[i]->empty(), *outputs[i]);
  }
}

}  // namespace test_reference_runs
