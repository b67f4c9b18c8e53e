#include "validation/score/validate_collectives.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "sim/base/files.hpp"
#include "validation/fit/collective_folds.hpp"
#include "validation/score/score_section.hpp"
#include "validation/tables/statistics.hpp"

namespace trainyard {
namespace {

constexpr double kMissed = 0.30;

struct ScoredCollective {
  CollectiveMeasurement row;
  CollectivePlan plan;
  Seconds predicted{};  // with the calibration that ships
  Seconds held_out{};
  Seconds bound{};
  bool seen = false;  // the calibration that ships was fitted to the row's system
  double error() const { return predicted / row.time - 1.0; }
  double held_out_error() const { return held_out / row.time - 1.0; }
};

using Predictions = std::vector<ScoredCollective>;

struct Score {
  ErrorSummary shipped;
  ErrorSummary held_out;
  ErrorSummary held_out_large;
  ErrorSummary held_out_small;
};

template <class Keep>
ErrorSummary summarize(const Predictions& predictions, Seconds ScoredCollective::*time, Keep keep) {
  std::vector<double> measured;
  std::vector<double> predicted;
  for (const ScoredCollective& p : predictions) {
    if (keep(p)) {
      measured.push_back(p.row.time.value);
      predicted.push_back((p.*time).value);
    }
  }
  return summarize_errors(measured, predicted);
}

Score score_of(const Predictions& predictions) {
  const auto all = [](const ScoredCollective&) { return true; };
  const auto large = [](const ScoredCollective& p) { return p.row.size.value >= kLargeMessage; };
  const auto small = [](const ScoredCollective& p) { return p.row.size.value < kLargeMessage; };
  return {.shipped = summarize(predictions, &ScoredCollective::predicted, all),
          .held_out = summarize(predictions, &ScoredCollective::held_out, all),
          .held_out_large = summarize(predictions, &ScoredCollective::held_out, large),
          .held_out_small = summarize(predictions, &ScoredCollective::held_out, small)};
}

std::string percent_figure(const std::optional<double>& share) {
  return share ? fmt::format("{:.1f}", *share * 100.0) : std::string("-");
}

Json summary_json(const ErrorSummary& s) {
  return {{"n", s.count},
          {"median_abs_error", number_or_null(s.median_abs_error)},
          {"mean_abs_error", number_or_null(s.mean_abs_error)},
          {"p90_abs_error", number_or_null(s.p90_abs_error)},
          {"bias", number_or_null(s.bias)},
          {"spearman", number_or_null(s.spearman)}};
}

Json row_json(const ScoredCollective& p) {
  return {{"file", p.row.file},
          {"id", p.row.id},
          {"system", p.row.system},
          {"cluster", p.row.cluster},
          {"op", kCollectiveOpNames.name_of(p.row.op)},
          {"ranks", p.row.ranks},
          {"nodes", p.row.nodes},
          {"size_bytes", p.row.size.value},
          {"measured", p.row.time.value},
          {"predicted", p.predicted.value},
          {"error", p.error()},
          {"calibration_saw_system", p.seen},
          {"held_out", p.held_out.value},
          {"held_out_error", p.held_out_error()},
          {"algorithm", name_of(p.plan.algorithm)},
          {"protocol", name_of(p.plan.protocol)},
          {"link_bound", p.bound.value},
          {"reason", nullptr}};
}

Json skipped_row_json(const CollectiveMeasurement& row) {
  return {{"file", row.file},
          {"id", row.id},
          {"system", row.system},
          {"cluster", row.cluster.empty() ? Json(nullptr) : Json(row.cluster)},
          {"measured", row.time.value > 0.0 ? Json(row.time.value) : Json(nullptr)},
          {"predicted", nullptr},
          {"error", nullptr},
          {"held_out_error", nullptr},
          {"reason", row.why_skipped}};
}

// Whether the source measured a larger message of the same kind in less time: no time that grows with size fits both.
bool beaten_by_larger(const ScoredCollective& p, const Predictions& all) {
  constexpr double kClearly = 0.85;
  return std::any_of(all.begin(), all.end(), [&](const ScoredCollective& other) {
    return other.row.op == p.row.op && other.row.ranks == p.row.ranks && other.row.nodes == p.row.nodes &&
           other.row.size > p.row.size && other.row.time < p.row.time * kClearly;
  });
}

// Whether a smaller message took longer: the same seen from the other side.
bool beats_smaller(const ScoredCollective& p, const Predictions& all) {
  return std::any_of(all.begin(), all.end(), [&](const ScoredCollective& other) {
    return other.row.size < p.row.size && beaten_by_larger(other, {p});
  });
}

// What is known about a row that is missed by more than 30 %.
std::string reason_of(const ScoredCollective& p, const Predictions& all) {
  if (!p.row.shared.empty()) {
    return p.row.shared;
  }
  if (beaten_by_larger(p, all) || beats_smaller(p, all)) {
    return "the source's own scatter: it measured a larger message of the same kind in less time";
  }
  if (p.row.time.value < p.bound.value) {
    return "measured faster than the links of the cluster allow";
  }
  return p.row.size.value < kLargeMessage ? "small message; the benchmark's overhead and scatter are not told apart"
                                          : "not explained: the source does not say which algorithm and protocol ran";
}

// The systems that each calibration that ships was fitted to: there its error is no test.
std::map<std::string, std::set<std::string>> systems_seen() {
  const auto path = home_folder() / "validation/published/collectives/systems.json";
  const Json document = read_json_file(path);
  std::map<std::string, std::set<std::string>> seen;
  for (const auto& [name, systems] : JsonReader(document, path.string()).at("calibrations").members()) {
    for (const JsonReader& system : systems.elements()) {
      seen[name].insert(system.text());
    }
  }
  return seen;
}

Predictions predict_system(const std::vector<CollectiveMeasurement>& rows, CollectiveLaboratory& laboratory) {
  static const std::map<std::string, std::set<std::string>> kSeen = systems_seen();
  const auto calibration = kSeen.find(load_cluster(rows.front().cluster).collective_calibration);
  const bool seen = calibration != kSeen.end() && calibration->second.contains(rows.front().system);
  const std::vector<HeldOutCollective> held_out = predict_held_out(rows, laboratory);
  Predictions out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    out.push_back({.row = rows[i],
                   .plan = held_out[i].plan,
                   .predicted = laboratory.predict_shipped(rows[i]),
                   .held_out = held_out[i].time,
                   .bound = laboratory.link_bound(rows[i]),
                   .seen = seen});
  }
  return out;
}

constexpr const char* kLine = "{:<46} {:>5} {:>8} {:>6} {:>6}   {:>8} {:>6} {:>8} {:>6} {:>8}\n";

std::string headings() {
  return fmt::format(kLine, "errors in %", "rows", "median", "p90", "bias", "median", "p90", "median", "p90", "p90") +
         fmt::format(kLine, "", "", "as users", "get it", "", "held out", "1 MiB+", "held out", "below", "all");
}

std::string line(const std::string& name, const Predictions& predictions, bool seen) {
  const Score score = score_of(predictions);
  return fmt::format(kLine, name, predictions.size(), percent_figure(score.shipped.median_abs_error),
                     percent_figure(score.shipped.p90_abs_error) + (seen ? "*" : ""),
                     percent_figure(score.shipped.bias), percent_figure(score.held_out_large.median_abs_error),
                     percent_figure(score.held_out_large.p90_abs_error),
                     percent_figure(score.held_out_small.median_abs_error),
                     percent_figure(score.held_out_small.p90_abs_error), percent_figure(score.held_out.p90_abs_error));
}

Json system_json(const Predictions& predictions) {
  const Score score = score_of(predictions);
  return {{"system", predictions.front().row.system},
          {"cluster", predictions.front().row.cluster},
          {"shipped", summary_json(score.shipped)},
          {"calibration_saw_system", predictions.front().seen},
          {"held_out", summary_json(score.held_out)},
          {"held_out_from_1_mib", summary_json(score.held_out_large)},
          {"held_out_below_1_mib", summary_json(score.held_out_small)}};
}

Json file_json(const std::string& file, std::size_t rows, const Predictions& predictions) {
  Json out =
      summary_json(summarize(predictions, &ScoredCollective::predicted, [](const ScoredCollective&) { return true; }));
  out.erase("n");
  out["file"] = file;
  out["rows"] = rows;
  out["simulated"] = predictions.size();
  out["skipped"] = rows - predictions.size();
  out["held_out"] =
      summary_json(summarize(predictions, &ScoredCollective::held_out, [](const ScoredCollective&) { return true; }));
  return out;
}

// Rows missed by more than 30 % as a user gets them, with what is known about each.
std::string list_missed(const Predictions& predictions, Json& missed) {
  std::map<std::string, std::size_t> reasons;
  for (const ScoredCollective& p : predictions) {
    if (std::abs(p.error()) > kMissed) {
      const std::string reason = reason_of(p, predictions);
      ++reasons[reason];
      missed.push_back({{"id", p.row.id}, {"error", p.error()}, {"reason", reason}});
    }
  }
  std::string text;
  for (const auto& [reason, count] : reasons) {
    text += fmt::format("{:<46} {:>5}  {}\n", predictions.front().row.system, count, reason);
  }
  return text;
}

}  // namespace

CollectiveValidation validate_collectives(const CollectiveSources& sources) {
  const MeasuredCollectives measured = read_collectives(sources);
  std::map<std::pair<std::string, std::string>, std::vector<CollectiveMeasurement>> by_system;  // and cluster
  std::map<std::string, std::map<std::string, std::size_t>> skipped;
  std::map<std::string, std::size_t> rows_of_file;
  Json row_list = Json::array();
  for (const CollectiveMeasurement& row : measured.rows) {
    ++rows_of_file[row.file];
    if (row.why_skipped.empty()) {
      by_system[{row.system, row.cluster}].push_back(row);
    } else {
      ++skipped[row.system][row.why_skipped];
      row_list.push_back(skipped_row_json(row));
    }
  }
  CollectiveLaboratory laboratory;
  Predictions all;
  Json systems = Json::array();
  Json missed = Json::array();
  std::string system_text;
  std::string missed_text;
  for (const auto& [key, members] : by_system) {
    const Predictions predictions = predict_system(members, laboratory);
    system_text += line(key.first, predictions, predictions.front().seen);
    systems.push_back(system_json(predictions));
    missed_text += list_missed(predictions, missed);
    for (const ScoredCollective& p : predictions) {
      row_list.push_back(row_json(p));
    }
    all.insert(all.end(), predictions.begin(), predictions.end());
  }
  Json files = Json::array();
  for (const std::filesystem::path& file : sources.files) {
    Predictions of_file;
    std::copy_if(all.begin(), all.end(), std::back_inserter(of_file),
                 [&](const ScoredCollective& p) { return p.row.file == file.string(); });
    files.push_back(file_json(file.string(), rows_of_file[file.string()], of_file));
  }
  Predictions unseen;
  std::copy_if(all.begin(), all.end(), std::back_inserter(unseen), [](const ScoredCollective& p) { return !p.seen; });
  CollectiveValidation out;
  out.text =
      headings() + line("all rows", all, unseen.size() < all.size()) +
      line("rows of systems no shipped calibration saw", unseen, false) + system_text +
      "as users get it: with the calibration that ships for the cluster; * fitted to rows of the system, so that the "
      "figure is no test.\nheld out: curves fitted to the other four fifths of the system's rows.\n";
  out.text += "\nrows that a user misses by more than 30 %\n" + missed_text + "\nrows not predicted\n";
  Json skips = Json::array();
  for (const auto& [system, reasons] : skipped) {
    for (const auto& [reason, count] : reasons) {
      out.text += fmt::format("{:<46} {:>5}  {}\n", system, count, reason);
      skips.push_back({{"system", system}, {"n", count}, {"reason", reason}});
    }
  }
  out.json = {{"files", std::move(files)},
              {"rows", std::move(row_list)},
              {"systems", std::move(systems)},
              {"skipped", std::move(skips)},
              {"missed", std::move(missed)}};
  return out;
}

}  // namespace trainyard
