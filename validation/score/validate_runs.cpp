#include "validation/score/validate_runs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "sim/base/fork_pool.hpp"
#include "sim/base/json_text.hpp"
#include "sim/memory/memory_estimate.hpp"
#include "sim/predict/predict.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "validation/score/score_section.hpp"
#include "validation/tables/run_columns.hpp"
#include "validation/tables/run_row.hpp"
#include "validation/tables/statistics.hpp"

namespace trainyard {
namespace {

struct Scored {
  RunRow row;
  std::optional<double> predicted;  // seconds
  std::optional<double> least;      // of all readings of what the row leaves open
  std::optional<double> most;
  std::optional<double> predicted_memory_gb;  // 1e9 bytes
  bool predicted_fits = true;
  Json breakdown;
};

// The figure that the framework's own log would show, in the unit of the table's column.
double logged_memory_gb(const Scenario& scenario, const MemoryEstimate& memory) {
  if (scenario.framework.memory.measured == MeasuredMemory::kDevicePeak) {
    return memory.peak / 1_GB;
  }
  const StageMemory& first = memory.stages.front();
  return (first.total - first.uses[MemoryUse::kContext]) / 1_GiB;
}

Scenario scenario_of(const RunRow& row, std::size_t reading, const std::string& file, Network network) {
  Scenario scenario = read_scenario(row.scenarios[reading], fmt::format("{} {}", file, row.id));
  scenario.network = network;
  scenario.framework = without_run(std::move(scenario.framework), std::filesystem::path(file).stem().string(), row.id);
  return scenario;
}

// The child's work: the prediction of one reading of a row as JSON, or why there is none.
std::string simulate_row(const RunRow& row, std::size_t reading, const std::string& file, Network network) {
  Json out;
  try {
    const Scenario scenario = scenario_of(row, reading, file, network);
    const MemoryEstimate memory = estimate_memory(scenario, make_layout(scenario));
    out["memory_gb"] = logged_memory_gb(scenario, memory);
    out["fits"] = memory.fits();
    if (row.out_of_memory) {
      return json_text(out);
    }
    const Report report = predict(scenario).report;
    out["step"] = report.step.value;
    for (const Breakdown::Part& part : report.breakdown.parts()) {
      out["breakdown"][std::string(part.name)] = part.time.value;
    }
  } catch (const UserError& error) {
    const Fault& fault = error.fault();
    out["skipped"] =
        fmt::format("{}{}{}: {}", fault.pointer, fault.pointer.empty() ? "" : ": ", fault.problem, fault.found);
  }
  return json_text(out);
}

void add_result(const Json& result, std::size_t reading, Scored& one) {
  if (result.contains("skipped")) {
    one.row.skipped = reading == 0 ? result["skipped"].get<std::string>() : one.row.skipped;
    return;
  }
  if (result.contains("step")) {
    const double step = result["step"].get<double>();
    one.least = std::min(step, one.least.value_or(step));
    one.most = std::max(step, one.most.value_or(step));
    if (reading == 0) {
      one.predicted = step;
      one.breakdown = result["breakdown"];
    }
  }
  if (reading == 0) {
    one.predicted_memory_gb = result["memory_gb"].get<double>();
    one.predicted_fits = result["fits"].get<bool>();
  }
}

std::vector<Scored> simulate_table(const CsvTable& table, Network network) {
  std::vector<Scored> scored(table.rows());
  std::vector<std::pair<std::size_t, std::size_t>> tasks;  // row and reading
  for (std::size_t i = 0; i < table.rows(); ++i) {
    scored[i].row = read_run_row(table, i);
    const RunRow& row = scored[i].row;
    for (std::size_t reading = 0; row.skipped.empty() && reading < row.scenarios.size(); ++reading) {
      tasks.emplace_back(i, reading);
    }
  }
  const auto results = run_in_children(tasks.size(), available_processors(), [&](std::size_t task) {
    const auto [row, reading] = tasks[task];
    return simulate_row(scored[row].row, reading, table.file(), network);
  });
  for (std::size_t task = 0; task < tasks.size(); ++task) {
    const auto [row, reading] = tasks[task];
    add_result(results[task] ? Json::parse(*results[task]) : Json{{"skipped", "the simulation failed"}}, reading,
               scored[row]);
  }
  return scored;
}

bool has_error(const Scored& one) {
  return one.row.skipped.empty() && one.predicted && one.row.step;
}

ErrorSummary summarize(const std::vector<const Scored*>& rows) {
  std::vector<double> measured;
  std::vector<double> predicted;
  for (const Scored* one : rows) {
    measured.push_back(*one->row.step);
    predicted.push_back(*one->predicted);
  }
  return summarize_errors(measured, predicted);
}

// Per group of layouts of one question: how much slower than the best measured layout the one predicted best really
// was.
std::vector<double> regrets(const std::vector<const Scored*>& rows) {
  std::map<std::string, std::vector<const Scored*>> groups;
  for (const Scored* one : rows) {
    groups[one->row.group].push_back(one);
  }
  std::vector<double> out;
  for (const auto& [name, group] : groups) {
    if (group.size() < 2) {
      continue;
    }
    const Scored* predicted = *std::min_element(
        group.begin(), group.end(), [](const Scored* a, const Scored* b) { return *a->predicted < *b->predicted; });
    const Scored* best = *std::min_element(
        group.begin(), group.end(), [](const Scored* a, const Scored* b) { return *a->row.step < *b->row.step; });
    out.push_back(*predicted->row.step / *best->row.step - 1.0);
  }
  return out;
}

Json group_json(const std::string& name, const std::vector<const Scored*>& rows) {
  const ErrorSummary summary = summarize(rows);
  return {{"group", name},
          {"simulated", summary.count},
          {"median_abs_error", number_or_null(summary.median_abs_error)},
          {"mean_abs_error", number_or_null(summary.mean_abs_error)},
          {"p90_abs_error", number_or_null(summary.p90_abs_error)},
          {"bias", number_or_null(summary.bias)}};
}

Json by_group(const std::vector<const Scored*>& rows) {
  std::map<std::string, std::vector<const Scored*>> groups;
  for (const Scored* one : rows) {
    groups[fmt::format("gpu {}", one->row.gpu)].push_back(one);
    groups[!one->row.assumed.empty() ? "recipe assumed"
           : !one->row.open.empty()  ? "recipe open"
                                     : "recipe stated"]
        .push_back(one);
  }
  Json out = Json::array();
  for (const auto& [name, group] : groups) {
    out.push_back(group_json(name, group));
  }
  return out;
}

struct FitCounts {
  double right = 0;
  double all = 0;
  double hits = 0;       // out of memory, and predicted so
  double predicted = 0;  // predicted out of memory
  double actual = 0;     // out of memory
};

FitCounts count_fits(const std::vector<Scored>& scored) {
  FitCounts counts;
  for (const Scored& one : scored) {
    if (!one.row.skipped.empty() || !one.predicted_memory_gb) {
      continue;
    }
    const bool predicted_oom = !one.predicted_fits;
    counts.all += 1;
    counts.right += predicted_oom == one.row.out_of_memory ? 1 : 0;
    counts.hits += predicted_oom && one.row.out_of_memory ? 1 : 0;
    counts.predicted += predicted_oom ? 1 : 0;
    counts.actual += one.row.out_of_memory ? 1 : 0;
  }
  return counts;
}

Json ratio(double part, double whole) {
  return whole > 0 ? Json(part / whole) : Json(nullptr);
}

// Between what the readings of a row predict, or as near to it as rows that state everything usually are.
bool is_covered(const Scored& one) {
  constexpr double kNear = 0.1;
  return *one.row.step >= *one.least / (1.0 + kNear) && *one.row.step <= *one.most * (1.0 + kNear);
}

Json file_json(const std::string& file, const CsvTable& table, const std::vector<Scored>& scored) {
  std::vector<const Scored*> rows;
  std::vector<double> memory_errors;
  std::size_t assumed = 0;
  std::size_t open = 0;
  std::size_t covered = 0;
  std::size_t skipped = 0;
  for (const Scored& one : scored) {
    skipped += one.row.skipped.empty() ? 0 : 1;
    if (has_error(one)) {
      rows.push_back(&one);
      assumed += one.row.assumed.empty() ? 0 : 1;
      open += one.row.open.empty() ? 0 : 1;
      covered += !one.row.open.empty() && is_covered(one) ? 1 : 0;
    }
    if (one.row.skipped.empty() && one.row.memory_gb && one.predicted_memory_gb) {
      memory_errors.push_back(std::abs(*one.predicted_memory_gb / *one.row.memory_gb - 1.0));
    }
  }
  const ErrorSummary summary = summarize(rows);
  const std::vector<double> regret = regrets(rows);
  const FitCounts fits = count_fits(scored);
  return {{"file", file},
          {"rows", scored.size()},
          {"simulated", summary.count},
          {"assumed", assumed},
          {"open", open},
          {"open_covered", ratio(static_cast<double>(covered), static_cast<double>(open))},
          {"skipped", skipped},
          {"median_abs_error", number_or_null(summary.median_abs_error)},
          {"mean_abs_error", number_or_null(summary.mean_abs_error)},
          {"p90_abs_error", number_or_null(summary.p90_abs_error)},
          {"bias", number_or_null(summary.bias)},
          {"spearman", number_or_null(summary.spearman)},
          {"regret_median", number_or_null(quantile(regret, 0.5))},
          {"regret_max", number_or_null(quantile(regret, 1.0))},
          {"regret_groups", regret.size()},
          {"memory_median_abs_error", number_or_null(quantile(memory_errors, 0.5))},
          {"fit_accuracy", ratio(fits.right, fits.all)},
          {"oom_precision", ratio(fits.hits, fits.predicted)},
          {"oom_recall", ratio(fits.hits, fits.actual)},
          {"by_group", by_group(rows)},
          {"warnings", doubtful_columns(table)}};
}

Json row_json(const std::string& file, const Scored& one) {
  const bool scored = has_error(one);
  const std::string status = !one.row.skipped.empty()   ? "skipped"
                             : !one.row.assumed.empty() ? "assumed"
                             : !one.row.open.empty()    ? "open"
                                                        : "simulated";
  return {{"file", file},
          {"id", one.row.id},
          {"framework", one.row.framework},
          {"status", status},
          {"measured", number_or_null(one.row.step)},
          {"predicted", number_or_null(one.predicted)},
          {"error", scored ? Json(*one.predicted / *one.row.step - 1.0) : Json(nullptr)},
          {"predicted_low", number_or_null(one.least)},
          {"predicted_high", number_or_null(one.most)},
          {"measured_memory_gb", number_or_null(one.row.memory_gb)},
          {"predicted_memory_gb", number_or_null(one.predicted_memory_gb)},
          {"out_of_memory", one.row.out_of_memory},
          {"predicted_oom", !one.predicted_fits},
          {"reason", one.row.skipped.empty() ? Json(nullptr) : Json(one.row.skipped)},
          {"assumed", one.row.assumed},
          {"open", one.row.open},
          {"breakdown_s", one.breakdown}};
}

std::string file_text(const Json& file) {
  std::string out = fmt::format(
      "{}: {} rows, {} simulated ({} with assumed recipe, {} with settings left open), {} skipped, {} of "
      "which only memory is asked\n",
      file["file"].get<std::string>(), file["rows"].get<int>(), file["simulated"].get<int>(),
      file["assumed"].get<int>(), file["open"].get<int>(), file["skipped"].get<int>(),
      file["rows"].get<int>() - file["simulated"].get<int>() - file["skipped"].get<int>());
  out += fmt::format("  step time  median {}  mean {}  p90 {}  bias {}  spearman {}\n",
                     percent_text(file["median_abs_error"]), percent_text(file["mean_abs_error"]),
                     percent_text(file["p90_abs_error"]), percent_text(file["bias"]),
                     file["spearman"].is_null() ? "-" : fmt::format("{:.3f}", file["spearman"].get<double>()));
  out += fmt::format("  regret median {} max {} ({} groups)  memory median {}  fit accuracy {}\n",
                     percent_text(file["regret_median"]), percent_text(file["regret_max"]),
                     file["regret_groups"].get<int>(), percent_text(file["memory_median_abs_error"]),
                     percent_text(file["fit_accuracy"]));
  if (file["open"].get<int>() > 0) {
    out += fmt::format(
        "  of rows with settings left open {} were measured between what their readings predict, or within 10 % of "
        "it\n",
        percent_text(file["open_covered"]));
  }
  for (const Json& warning : file["warnings"]) {
    out += fmt::format("  note: {}\n", warning.get<std::string>());
  }
  return out;
}

constexpr std::size_t kMostListed = 64;  // rows of a table whose rows are listed

std::string row_text(const Scored& one) {
  std::string out = fmt::format("    {:16} measured {:9.4f} s  predicted {:9.4f} s  error {:+6.1f} %", one.row.id,
                                *one.row.step, *one.predicted, (*one.predicted / *one.row.step - 1.0) * 100.0);
  if (!one.row.open.empty()) {
    out += fmt::format("  ({:.4f} s to {:.4f} s)", *one.least, *one.most);
  }
  return out + "\n";
}

}  // namespace

RunScores validate_runs(std::span<const std::filesystem::path> files, Network network) {
  RunScores scores;
  scores.json["files"] = Json::array();
  scores.json["rows"] = Json::array();
  std::map<std::string, std::size_t> skipped;
  for (const std::filesystem::path& file : files) {
    const CsvTable table = CsvTable::read(file);
    check_run_columns(table);
    const std::vector<Scored> scored = simulate_table(table, network);
    scores.json["files"].push_back(file_json(file.string(), table, scored));
    scores.text += file_text(scores.json["files"].back());
    std::map<std::pair<std::string, std::string>, std::size_t> reasons;
    for (const Scored& one : scored) {
      scores.json["rows"].push_back(row_json(file.string(), one));
      if (!one.row.skipped.empty()) {
        ++reasons[{"skipped", one.row.skipped}];
        ++skipped[one.row.skipped];
      } else {
        for (const std::string& assumed : one.row.assumed) {
          ++reasons[{"assumed in", assumed}];
        }
        for (const std::string& open : one.row.open) {
          ++reasons[{"left open in", open}];
        }
      }
      if (has_error(one) && scored.size() <= kMostListed) {
        scores.text += row_text(one);
      }
    }
    for (const auto& [reason, count] : reasons) {
      scores.text += fmt::format("    {} {}: {}\n", reason.first, count, reason.second);
    }
  }
  scores.json["skipped"] = reasons_json(skipped);
  return scores;
}

}  // namespace trainyard
