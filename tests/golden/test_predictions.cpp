// Did a prediction move? tests/golden/predictions.json pins whole predictions of the longest-path engine to 0.1 %.
//
// The numbers are trainyard's own answers, not measurements: how far those are from reality is what `trainyard
// validate` says. A change of a kernel model, a profile or a catalogue entry moves them, and that is normal: look at
// which moved and why, say so in the commit, and write the new ones with
//
//     TRAINYARD_REGENERATE_GOLDEN=1 build/release/tests/test_golden
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "sim/base/files.hpp"
#include "sim/predict/predict.hpp"
#include "sim/scenario/read_scenario.hpp"

using namespace trainyard;

namespace test_predictions {

namespace {

constexpr double kTolerance = 1e-3;

std::filesystem::path golden_file() {
  return std::filesystem::path(TRAINYARD_SOURCE_DIR) / "tests" / "golden" / "predictions.json";
}

// The figures a reader of a result looks at first, by the names of the result contract.
Json figures(const Json& document) {
  const Scenario scenario = read_scenario(document, "predictions.json");
  const Report report = predict(scenario).report;
  Json out;
  out["step_time_s"] = report.step.value;
  out["mfu"] = report.mfu;
  out["memory.peak_bytes"] = report.memory.peak.value;
  for (const Breakdown::Part& part : report.breakdown.parts()) {
    out[fmt::format("breakdown_s.{}", part.name)] = part.time.value;
  }
  return out;
}

// Parts of the breakdown are held to the step's tolerance: a part that is next to nothing may move freely.
bool has_moved(const std::string& name, double expected, double now, double step) {
  const double scale = name.starts_with("breakdown_s") ? step : std::abs(expected);
  return !(std::abs(now - expected) <= kTolerance * scale);
}

void regenerate(Json golden) {
  for (Json& prediction : golden) {
    prediction["expected"] = figures(prediction["scenario"]);
  }
  write_file(golden_file(), golden.dump(2) + "\n");
}

}  // namespace

TEST_CASE("predictions are where they were") {
  const Json golden = read_json_file(golden_file());
  REQUIRE(golden.size() >= 6);
  if (std::getenv("TRAINYARD_REGENERATE_GOLDEN") != nullptr) {
    regenerate(golden);
    MESSAGE("wrote ", golden_file().string());
    return;
  }
  for (const Json& prediction : golden) {
    REQUIRE_MESSAGE(prediction.contains("expected"), "a new prediction: regenerate");
    const Json now = figures(prediction["scenario"]);
    const double step = prediction["expected"]["step_time_s"];
    for (const auto& [name, expected] : prediction["expected"].items()) {
      const double value = now.at(name);
      const bool moved = has_moved(name, expected.get<double>(), value, step);
      CHECK_MESSAGE(!moved,
                    fmt::format("{}: {} moved from {:.6g} to {:.6g} ({:+.2f} %)", prediction["name"].get<std::string>(),
                                name, expected.get<double>(), value, 100.0 * (value / expected.get<double>() - 1.0)));
    }
    CHECK(now.size() == prediction["expected"].size());
  }
}

}  // namespace test_predictions
