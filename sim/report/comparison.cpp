#include "sim/report/comparison.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

// Differences below a picosecond, or a byte, are rounding.
constexpr double kNoTime = 1e-12;
constexpr double kNoBytes = 1.0;

using Figures = std::vector<std::pair<std::string, double>>;

Figures breakdown_of(const Json& result) {
  Figures out;
  for (const auto& [name, seconds] : result.at("breakdown_s").items()) {
    out.emplace_back(name, seconds.get<double>());
  }
  return out;
}

// Stages have other numbers in other layouts, so an operation counts over all of them.
Figures critical_path_of(const Json& result) {
  std::map<std::string, double> seconds;
  for (const Json& part : result.at("critical_path")) {
    seconds[part.at("operation").get<std::string>()] += part.at("time_s").get<double>();
  }
  return {seconds.begin(), seconds.end()};
}

Figures memory_figures(const Json& result) {
  Figures out;
  for (const auto& [name, bytes] : fullest_stage(result).at("terms_bytes").items()) {
    out.emplace_back(name, bytes.get<double>());
  }
  return out;
}

std::vector<Difference> ranked(const Figures& fastest, const Figures& other, double nothing) {
  std::map<std::string, Difference> by_name;
  for (const auto& [name, value] : fastest) {
    by_name[name].fastest += value;
  }
  for (const auto& [name, value] : other) {
    by_name[name].other += value;
  }
  std::vector<Difference> out;
  for (auto& [name, one] : by_name) {
    one.name = name;
    if (std::abs(one.difference()) >= nothing) {
      out.push_back(one);
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const Difference& a, const Difference& b) {
    return std::abs(a.difference()) > std::abs(b.difference());
  });
  return out;
}

std::vector<ScenarioDifference> scenario_differences(const Json& fastest, const Json& other) {
  const Json a = fastest.at("scenario").flatten();
  const Json b = other.at("scenario").flatten();
  std::vector<ScenarioDifference> out;
  const auto text_of = [](const Json& flat, const std::string& pointer) {
    return flat.contains(pointer) ? flat.at(pointer).dump() : std::string("-");
  };
  Json keys = a;
  keys.update(b);
  for (const auto& [pointer, value] : keys.items()) {
    const std::string in_a = text_of(a, pointer);
    const std::string in_b = text_of(b, pointer);
    if (in_a != in_b) {
      out.push_back({.pointer = pointer, .fastest = in_a, .other = in_b});
    }
  }
  return out;
}

Seconds step_of(const ComparedRun& run) {
  return {run.result.at("step_time_s").get<double>()};
}

}  // namespace

const Json& fullest_stage(const Json& result) {
  const Json& stages = result.at("memory").at("per_stage");
  return *std::max_element(stages.begin(), stages.end(), [](const Json& a, const Json& b) {
    return a.at("total_bytes").get<double>() < b.at("total_bytes").get<double>();
  });
}

Comparison compare_runs(std::vector<ComparedRun> runs) {
  TY_ASSERT(runs.size() >= 2);
  Comparison out{.runs = std::move(runs)};
  for (std::size_t i = 1; i < out.runs.size(); ++i) {
    out.fastest = step_of(out.runs[i]) < step_of(out.runs[out.fastest]) ? i : out.fastest;
  }
  const Json& fastest = out.runs[out.fastest].result;
  for (std::size_t i = 0; i < out.runs.size(); ++i) {
    if (i == out.fastest) {
      continue;
    }
    const Json& other = out.runs[i].result;
    out.explanations.push_back({.run = i,
                                .slower_by = step_of(out.runs[i]) - step_of(out.runs[out.fastest]),
                                .scenario = scenario_differences(fastest, other),
                                .breakdown = ranked(breakdown_of(fastest), breakdown_of(other), kNoTime),
                                .critical_path = ranked(critical_path_of(fastest), critical_path_of(other), kNoTime),
                                .memory = ranked(memory_figures(fastest), memory_figures(other), kNoBytes)});
  }
  return out;
}

Json comparison_json(const Comparison& comparison) {
  const auto differences = [](const std::vector<Difference>& list, const std::string& unit) {
    Json out = Json::array();
    for (const Difference& one : list) {
      out.push_back({{"name", one.name},
                     {"fastest" + unit, one.fastest},
                     {"other" + unit, one.other},
                     {"difference" + unit, one.difference()}});
    }
    return out;
  };
  Json runs = Json::array();
  for (const ComparedRun& run : comparison.runs) {
    runs.push_back({{"name", run.name}, {"result", run.result}});
  }
  Json explanations = Json::array();
  for (const Explanation& one : comparison.explanations) {
    Json scenario = Json::array();
    for (const ScenarioDifference& difference : one.scenario) {
      scenario.push_back(
          {{"pointer", difference.pointer}, {"fastest", difference.fastest}, {"other", difference.other}});
    }
    explanations.push_back({{"run", comparison.runs[one.run].name},
                            {"slower_by_s", one.slower_by.value},
                            {"scenario", std::move(scenario)},
                            {"breakdown", differences(one.breakdown, "_s")},
                            {"critical_path", differences(one.critical_path, "_s")},
                            {"memory", differences(one.memory, "_bytes")}});
  }
  return {{"fastest", comparison.runs[comparison.fastest].name},
          {"runs", std::move(runs)},
          {"explanations", std::move(explanations)}};
}

}  // namespace trainyard
