#include "validation/fit/fit_framework.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlopt.hpp>

#include "sim/base/fork_pool.hpp"
#include "sim/predict/predict.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "validation/tables/run_row.hpp"

namespace trainyard {
namespace {

constexpr double kErrorCap = 0.25;
constexpr int kMostEvaluations = 120;
constexpr std::size_t kRowsPerParameter = 10;

struct FittedParameter {
  std::string_view name;
  double low;
  double high;
  void (*set)(FittedValues&, double);
  double (*get)(const FittedValues&);
};

constexpr std::array<FittedParameter, 8> kParameters = {{
    {"forward_operator", 1e-6, 2e-4, [](FittedValues& v, double x) { v.host.forward_operator = {x}; },
     [](const FittedValues& v) { return v.host.forward_operator.value; }},
    {"backward_operator", 1e-6, 2e-4, [](FittedValues& v, double x) { v.host.backward_operator = {x}; },
     [](const FittedValues& v) { return v.host.backward_operator.value; }},
    {"collective", 1e-6, 1e-3, [](FittedValues& v, double x) { v.host.collective = {x}; },
     [](const FittedValues& v) { return v.host.collective.value; }},
    {"collective_check", 1e-6, 1e-2, [](FittedValues& v, double x) { v.host.collective_check = {x}; },
     [](const FittedValues& v) { return v.host.collective_check.value; }},
    {"micro_batch", 1e-6, 2e-2, [](FittedValues& v, double x) { v.host.micro_batch = {x}; },
     [](const FittedValues& v) { return v.host.micro_batch.value; }},
    {"step", 1e-5, 5e-1, [](FittedValues& v, double x) { v.host.step = {x}; },
     [](const FittedValues& v) { return v.host.step.value; }},
    {"kernel_rate", 0.5, 1.2, [](FittedValues& v, double x) { v.kernel_rate = x; },
     [](const FittedValues& v) { return v.kernel_rate; }},
    {"memory_rate", 0.3, 1.2, [](FittedValues& v, double x) { v.memory_rate = x; },
     [](const FittedValues& v) { return v.memory_rate; }},
}};

struct FitRow {
  std::vector<Scenario> scenarios;  // one, or one for each setting that the source leaves open
  double measured;
  std::string table;
  std::string id;
  std::size_t fold = 0;
};

// At most so many of the rows, drawn by the hashes of their ids.
std::vector<FitRow> drawn(std::vector<FitRow> rows, std::size_t most) {
  constexpr std::size_t kDraws = 1'000'003;
  std::stable_sort(rows.begin(), rows.end(), [](const FitRow& a, const FitRow& b) {
    return std::pair(fold_of(a.id, kDraws), a.id) < std::pair(fold_of(b.id, kDraws), b.id);
  });
  rows.erase(rows.begin() + static_cast<std::ptrdiff_t>(std::min(most, rows.size())), rows.end());
  return rows;
}

std::vector<FitRow> usable_rows(const FrameworkFitRequest& request) {
  std::vector<FitRow> rows;
  for (const std::filesystem::path& path : request.tables) {
    const CsvTable table = CsvTable::read(path);
    check_run_columns(table);
    for (std::size_t i = 0; i < table.rows(); ++i) {
      const RunRow row = read_run_row(table, i);
      if (!row.skipped.empty() || !row.step || row.framework != request.framework) {
        continue;
      }
      FitRow fit{.scenarios = {}, .measured = *row.step, .table = path.stem().string(), .id = row.id};
      fit.fold = fold_of(row.id, request.folds);
      try {
        for (const Json& scenario : row.scenarios) {
          fit.scenarios.push_back(read_scenario(scenario, path.string()));
          fit.scenarios.back().network = request.network;
        }
      } catch (const UserError&) {
        continue;  // rows that cannot be simulated are counted by validate
      }
      rows.push_back(std::move(fit));
    }
  }
  return drawn(std::move(rows), request.most_rows);
}

// Which of a row's predictions counts: the first, which is made without a look at the measurement, or the nearest, so
// that rows whose settings are open teach what these cost and do not tear at the other parameters.
enum class Settings { kFirst, kNearest };

double predicted_step(const FitRow& row, const FittedValues& values, Settings settings) {
  double best = 0.0;
  for (const Scenario& one : row.scenarios) {
    Scenario scenario = one;
    scenario.framework.host = values.host;
    scenario.framework.kernel_rate = values.kernel_rate;
    scenario.framework.memory_rate = values.memory_rate;
    const double step = predict_step(scenario).value;
    if (best <= 0.0 || std::abs(std::log(step / row.measured)) < std::abs(std::log(best / row.measured))) {
      best = step;
    }
    if (settings == Settings::kFirst) {
      break;
    }
  }
  return best;
}

// Predictions of all rows. Analytic ones share a process; the flow engine runs once per process.
std::vector<double> predict_rows(const std::vector<const FitRow*>& rows, const FittedValues& values, Network network,
                                 Settings settings) {
  const std::size_t workers = available_processors();
  const std::size_t tasks = network != Network::kAnalytic ? rows.size() : std::min(workers, rows.size());
  const auto results = run_in_children(tasks, workers, [&](std::size_t task) {
    std::string out;
    for (std::size_t i = task; i < rows.size(); i += tasks) {
      out += fmt::format("{} ", predicted_step(*rows[i], values, settings));
    }
    return out;
  });
  std::vector<double> steps(rows.size(), 0.0);
  for (std::size_t task = 0; task < tasks; ++task) {
    TY_ASSERT(results[task].has_value());
    const char* text = results[task]->c_str();
    for (std::size_t i = task; i < rows.size(); i += tasks) {
      char* end = nullptr;
      steps[i] = std::strtod(text, &end);
      text = end;
    }
  }
  return steps;
}

double objective(const std::vector<const FitRow*>& rows, const FittedValues& values, Network network) {
  const std::vector<double> steps = predict_rows(rows, values, network, Settings::kNearest);
  double sum = 0.0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    sum += std::min(kErrorCap, std::abs(std::log(steps[i] / rows[i]->measured)));
  }
  return sum / static_cast<double>(rows.size());
}

FittedValues fit_fold(const std::vector<const FitRow*>& rows, const std::vector<FittedParameter>& parameters,
                      const FittedValues& start, Network network) {
  // The search runs in logarithms: parameters are positive and span decades.
  nlopt::opt search(nlopt::LN_SBPLX, static_cast<unsigned>(parameters.size()));
  std::vector<double> low;
  std::vector<double> high;
  std::vector<double> x;
  for (const FittedParameter& parameter : parameters) {
    low.push_back(std::log(parameter.low));
    high.push_back(std::log(parameter.high));
    x.push_back(std::log(std::clamp(parameter.get(start), parameter.low, parameter.high)));
  }
  const auto values_at = [&](const std::vector<double>& point) {
    FittedValues values = start;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      parameters[i].set(values, std::exp(point[i]));
    }
    return values;
  };
  const auto cost = [&](const std::vector<double>& point) { return objective(rows, values_at(point), network); };
  using Cost = decltype(cost);
  search.set_lower_bounds(low);
  search.set_upper_bounds(high);
  search.set_min_objective([](const std::vector<double>& point, std::vector<double>&,
                              void* data) { return (*static_cast<const Cost*>(data))(point); },
                           const_cast<void*>(static_cast<const void*>(&cost)));
  search.set_initial_step(0.1);
  search.set_xtol_abs(2e-3);
  search.set_maxeval(kMostEvaluations);
  double best = 0.0;
  search.optimize(x, best);
  return values_at(x);
}

Json values_json(const FittedValues& values) {
  const auto microseconds = [](Seconds time) { return fmt::format("{:.4g} us", time.value * 1e6); };
  Json host = {{"forward_operator", microseconds(values.host.forward_operator)},
               {"backward_operator", microseconds(values.host.backward_operator)},
               {"collective", microseconds(values.host.collective)},
               {"micro_batch", microseconds(values.host.micro_batch)},
               {"step", microseconds(values.host.step)}};
  if (values.host.collective_check.value > 0.0) {
    host["collective_check"] = microseconds(values.host.collective_check);
  }
  Json out = {{"host", std::move(host)}, {"kernel_rate", std::round(values.kernel_rate * 1e4) / 1e4}};
  if (values.memory_rate != 1.0) {
    out["memory_rate"] = std::round(values.memory_rate * 1e4) / 1e4;
  }
  return out;
}

std::vector<FittedParameter> chosen_parameters(const FrameworkFitRequest& request) {
  std::vector<FittedParameter> chosen;
  for (const std::string& name : request.parameters) {
    const auto* found =
        std::find_if(kParameters.begin(), kParameters.end(), [&](const auto& one) { return one.name == name; });
    if (found == kParameters.end()) {
      const std::vector<std::string> names = fitted_parameter_names();
      throw UserError({.file = "--parameters",
                       .found = name,
                       .allowed = join_names(names),
                       .nearest = nearest_name(name, names).value_or(""),
                       .problem = "unknown parameter"});
    }
    chosen.push_back(*found);
  }
  return chosen;
}

// The values for everybody: what the fit turned lies between the folds' own, at their geometric mean. One more fit to
// all rows would end somewhere else, as searches with several parameters do, and no error is known of its values.
FittedValues between(const std::vector<FittedValues>& folds, const FrameworkProfile& profile,
                     const std::vector<FittedParameter>& parameters) {
  FittedValues out{.host = profile.host, .kernel_rate = profile.kernel_rate, .memory_rate = profile.memory_rate};
  for (const FittedParameter& parameter : parameters) {
    double sum = 0.0;
    for (const FittedValues& fold : folds) {
      sum += std::log(parameter.get(fold));
    }
    parameter.set(out, std::exp(sum / static_cast<double>(folds.size())));
  }
  return out;
}

// What a fold's fit begins with, and keeps of the values it does not turn: those of an earlier fit to these tables that
// has not seen the fold either, else the profile's.
FittedValues start_without(const FrameworkProfile& profile, const FrameworkFitRequest& request, std::size_t fold) {
  for (const FrameworkFit& fit : profile.fits) {
    const bool is_of_table = std::any_of(request.tables.begin(), request.tables.end(),
                                         [&](const auto& path) { return path.stem().string() == fit.table; });
    if (is_of_table && fit.held_out.size() == request.folds) {
      return fit.held_out[fold];
    }
  }
  return {.host = profile.host, .kernel_rate = profile.kernel_rate, .memory_rate = profile.memory_rate};
}

}  // namespace

std::vector<std::string> fitted_parameter_names() {
  std::vector<std::string> names;
  for (const FittedParameter& parameter : kParameters) {
    names.emplace_back(parameter.name);
  }
  return names;
}

Json fit_framework(const FrameworkFitRequest& request) {
  const std::vector<FittedParameter> parameters = chosen_parameters(request);
  const std::vector<FitRow> rows = usable_rows(request);
  if (rows.size() < kRowsPerParameter * std::max<std::size_t>(1, parameters.size())) {
    throw UserError({.file = request.framework,
                     .found = fmt::format("{} usable rows for {} parameters", rows.size(), parameters.size()),
                     .allowed = fmt::format("at least {} rows per parameter", kRowsPerParameter),
                     .problem = "too little data for the fit",
                     .remedy = "name more tables or fewer parameters"});
  }
  const FrameworkProfile profile = load_framework(request.framework);
  const auto select = [&](auto keep) {
    std::vector<const FitRow*> selected;
    for (const FitRow& row : rows) {
      if (keep(row)) {
        selected.push_back(&row);
      }
    }
    return selected;
  };
  std::vector<FittedValues> folds;
  double error = 0.0;
  for (std::size_t fold = 0; fold < request.folds; ++fold) {
    const FittedValues values = fit_fold(select([&](const FitRow& row) { return row.fold != fold; }), parameters,
                                         start_without(profile, request, fold), request.network);
    const auto unseen = select([&](const FitRow& row) { return row.fold == fold; });
    const std::vector<double> steps = predict_rows(unseen, values, request.network, Settings::kFirst);
    for (std::size_t i = 0; i < unseen.size(); ++i) {
      error += std::abs(steps[i] / unseen[i]->measured - 1.0);
    }
    folds.push_back(values);
  }
  Json held_out = Json::array();
  for (const FittedValues& fold : folds) {
    held_out.push_back(values_json(fold));
  }
  Json out = values_json(between(folds, profile, parameters));
  out["fits"] = Json::array();
  for (const std::filesystem::path& path : request.tables) {
    const std::string table = path.stem().string();
    const auto used = std::count_if(rows.begin(), rows.end(), [&](const FitRow& row) { return row.table == table; });
    out["fits"].push_back({{"table", table},
                           {"rows", used},
                           {"mean_abs_error", error / static_cast<double>(rows.size())},
                           {"held_out", held_out}});
  }
  return out;
}

}  // namespace trainyard
