#include "validation/validate_collectives.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "sim/base/files.hpp"
#include "validation/collective_folds.hpp"
#include "validation/statistics.hpp"

namespace trainyard {
namespace {

constexpr double kLarge = 1048576.0;  // bytes: the bar differs from 1 MiB on
constexpr double kMissed = 0.30;

struct Prediction {
  CollectiveMeasurement row;
  CollectivePlan plan;
  Seconds held_out{};
  Seconds shipped{};
  Seconds bound{};
  double error() const { return held_out / row.time - 1.0; }
};

std::vector<Prediction> predict_system(const std::vector<CollectiveMeasurement>& rows,
                                       CollectiveLaboratory& laboratory) {
  std::vector<Prediction> out;
  const std::vector<HeldOutCollective> held_out = predict_held_out(rows, laboratory);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    out.push_back({.row = rows[i],
                   .plan = held_out[i].plan,
                   .held_out = held_out[i].time,
                   .shipped = laboratory.predict_shipped(rows[i]),
                   .bound = laboratory.link_bound(rows[i])});
  }
  return out;
}

struct Score {
  ErrorSummary large;
  ErrorSummary small;
  ErrorSummary all;
  ErrorSummary shipped;
};

template <class Keep, class Time>
ErrorSummary summarize(const std::vector<Prediction>& predictions, Keep keep, Time time) {
  std::vector<double> measured;
  std::vector<double> predicted;
  for (const Prediction& p : predictions) {
    if (keep(p)) {
      measured.push_back(p.row.time.value);
      predicted.push_back(time(p).value);
    }
  }
  return summarize_errors(measured, predicted);
}

Score score_of(const std::vector<Prediction>& predictions) {
  const auto held_out = [](const Prediction& p) { return p.held_out; };
  const auto shipped = [](const Prediction& p) { return p.shipped; };
  const auto all = [](const Prediction&) { return true; };
  return {.large = summarize(
              predictions, [](const Prediction& p) { return p.row.size.value >= kLarge; }, held_out),
          .small = summarize(
              predictions, [](const Prediction& p) { return p.row.size.value < kLarge; }, held_out),
          .all = summarize(predictions, all, held_out),
          .shipped = summarize(predictions, all, shipped)};
}

std::string percent(const std::optional<double>& share) {
  return share ? fmt::format("{:.1f}", *share * 100.0) : std::string("-");
}

Json number(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json summary_json(const ErrorSummary& s) {
  return {{"n", s.count},
          {"median_abs_error", number(s.median_abs_error)},
          {"mean_abs_error", number(s.mean_abs_error)},
          {"p90_abs_error", number(s.p90_abs_error)},
          {"bias", number(s.bias)},
          {"spearman", number(s.spearman)}};
}

Json row_json(const Prediction& p) {
  return {{"id", p.row.id},
          {"system", p.row.system},
          {"op", kCollectiveOpNames.name_of(p.row.op)},
          {"ranks", p.row.ranks},
          {"size_bytes", p.row.size.value},
          {"measured_s", p.row.time.value},
          {"predicted_s", p.held_out.value},
          {"error", p.error()},
          {"shipped_s", p.shipped.value},
          {"algorithm", p.plan.algorithm},
          {"protocol", p.plan.protocol},
          {"link_bound_s", p.bound.value}};
}

// Whether the source measured a larger message of the same kind in less time: no time that grows with size fits both.
bool beaten_by_larger(const Prediction& p, const std::vector<Prediction>& all) {
  constexpr double kClearly = 0.85;
  return std::any_of(all.begin(), all.end(), [&](const Prediction& other) {
    return other.row.op == p.row.op && other.row.ranks == p.row.ranks && other.row.nodes == p.row.nodes &&
           other.row.size > p.row.size && other.row.time < p.row.time * kClearly;
  });
}

// Whether a smaller message took longer: the same seen from the other side.
bool beats_smaller(const Prediction& p, const std::vector<Prediction>& all) {
  return std::any_of(all.begin(), all.end(), [&](const Prediction& other) {
    return other.row.size < p.row.size && beaten_by_larger(other, {p});
  });
}

// What is known about a row that is missed by more than 30 %.
std::string reason_of(const Prediction& p, const std::vector<Prediction>& all) {
  if (!p.row.shared.empty()) {
    return p.row.shared;
  }
  if (beaten_by_larger(p, all) || beats_smaller(p, all)) {
    return "the source's own scatter: it measured a larger message of the same kind in less time";
  }
  if (p.row.time.value < p.bound.value) {
    return "measured faster than the links of the cluster allow";
  }
  return p.row.size.value < kLarge ? "small message; the benchmark's overhead and scatter are not told apart"
                                   : "not explained: the source does not say which algorithm and protocol ran";
}

// Systems whose rows a shipped calibration was fitted to: their shipped error is no test.
std::set<std::string> systems_seen_by_shipped() {
  const auto path = home_folder() / "validation/published/collectives/systems.json";
  const Json document = read_json_file(path);
  std::set<std::string> seen;
  for (const auto& [name, systems] : JsonReader(document, path.string()).at("calibrations").members()) {
    for (const JsonReader& system : systems.elements()) {
      seen.insert(system.text());
    }
  }
  return seen;
}

}  // namespace

CollectiveValidation validate_collectives(const std::vector<std::filesystem::path>& files) {
  const std::vector<CollectiveMeasurement> rows = read_collective_measurements(files);
  std::map<std::string, std::vector<CollectiveMeasurement>> by_system;
  std::map<std::string, std::map<std::string, std::size_t>> skipped;
  Json row_list = Json::array();
  for (const CollectiveMeasurement& row : rows) {
    if (row.why_skipped.empty()) {
      by_system[row.system].push_back(row);
    } else {
      ++skipped[row.system][row.why_skipped];
      row_list.push_back({{"id", row.id}, {"system", row.system}, {"why_skipped", row.why_skipped}});
    }
  }
  CollectiveValidation out;
  out.text = fmt::format("{:<44} {:>5} {:>8} {:>6} {:>8} {:>6} {:>6} {:>8} {:>9}\n", "system (errors in %, held out)",
                         "rows", "median", "p90", "median", "p90", "bias", "p90 all", "shipped");
  out.text += fmt::format("{:<44} {:>5} {:>8} {:>6} {:>8} {:>6} {:>6} {:>8} {:>9}\n", "", "", ">= 1 MiB", "", "< 1 MiB",
                          "", "", "", "median");
  const std::set<std::string> seen = systems_seen_by_shipped();
  CollectiveLaboratory laboratory;
  Json systems = Json::array();
  Json missed = Json::array();
  std::string missed_text;
  for (const auto& [system, members] : by_system) {
    const std::vector<Prediction> predictions = predict_system(members, laboratory);
    const Score score = score_of(predictions);
    out.text += fmt::format("{:<44} {:>5} {:>8} {:>6} {:>8} {:>6} {:>6} {:>8} {:>9}\n", system, members.size(),
                            percent(score.large.median_abs_error), percent(score.large.p90_abs_error),
                            percent(score.small.median_abs_error), percent(score.small.p90_abs_error),
                            percent(score.all.bias), percent(score.all.p90_abs_error),
                            percent(score.shipped.median_abs_error) + (seen.contains(system) ? "*" : " "));
    systems.push_back({{"system", system},
                       {"cluster", members.front().cluster},
                       {"from_1_mib", summary_json(score.large)},
                       {"below_1_mib", summary_json(score.small)},
                       {"all", summary_json(score.all)},
                       {"shipped", summary_json(score.shipped)},
                       {"shipped_saw_rows", seen.contains(system)}});
    std::map<std::string, std::size_t> reasons;
    for (const Prediction& p : predictions) {
      row_list.push_back(row_json(p));
      if (std::abs(p.error()) > kMissed) {
        const std::string reason = reason_of(p, predictions);
        ++reasons[reason];
        missed.push_back({{"id", p.row.id}, {"error", p.error()}, {"reason", reason}});
      }
    }
    for (const auto& [reason, count] : reasons) {
      missed_text += fmt::format("{:<44} {:>5}  {}\n", system, count, reason);
    }
  }
  out.text +=
      "held out: curves fitted to the other four fifths of the system's rows. shipped: the cluster's calibration as "
      "users get it;\n* it was fitted to these rows, so that the figure is no test.\n";
  out.text += "\nrows missed by more than 30 %\n" + missed_text + "\nrows not predicted\n";
  Json skips = Json::array();
  for (const auto& [system, reasons] : skipped) {
    for (const auto& [reason, count] : reasons) {
      out.text += fmt::format("{:<44} {:>5}  {}\n", system, count, reason);
      skips.push_back({{"system", system}, {"n", count}, {"why_skipped", reason}});
    }
  }
  out.json = {{"systems", std::move(systems)},
              {"skipped", std::move(skips)},
              {"missed", std::move(missed)},
              {"rows", std::move(row_list)}};
  return out;
}

}  // namespace trainyard
