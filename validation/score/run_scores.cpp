#include "validation/score/run_scores.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "sim/base/csv.hpp"
#include "sim/scenario/framework.hpp"
#include "validation/score/accuracy.hpp"
#include "validation/score/validate_runs.hpp"

namespace trainyard {
namespace {

// Columns of a table that tell one run from another; the results carry them on.
constexpr std::array<std::string_view, 19> kSetupColumns = {"framework_profile",
                                                            "gpu",
                                                            "cluster",
                                                            "model",
                                                            "arch",
                                                            "num_gpus",
                                                            "tp",
                                                            "pp",
                                                            "vpp",
                                                            "cp",
                                                            "ep",
                                                            "dp",
                                                            "zero_stage",
                                                            "micro_batch",
                                                            "global_batch",
                                                            "seq_len",
                                                            "precision",
                                                            "recompute",
                                                            "schedule"};

std::string csv_number(const Json& value) {
  return value.is_null() ? "" : fmt::format("{:.6g}", value.get<double>());
}

std::int64_t nodes_of(const CsvTable& table, std::size_t row) {
  const std::int64_t gpus = table.integer(row, "num_gpus").value_or(1);
  const std::int64_t per_node = std::max<std::int64_t>(1, table.integer(row, "gpus_per_node").value_or(8));
  return (gpus + per_node - 1) / per_node;
}

std::string csv_header() {
  std::string out = "table,id";
  for (const std::string_view column : kSetupColumns) {
    out += fmt::format(",{}", column);
  }
  return out +
         ",nodes,status,measured_step_s,predicted_step_s,error,predicted_low_s,predicted_high_s,measured_memory_gb,"
         "predicted_memory_gb,oom,predicted_oom\n";
}

std::string csv_line(const CsvTable& table, std::size_t index, const Json& row) {
  std::string out = fmt::format("{},{}", table_name(table.file()), row.at("id").get<std::string>());
  for (const std::string_view column : kSetupColumns) {
    out += "," + csv_field(column == "framework_profile" ? row.at("framework").get<std::string>()
                                                         : table.text(index, column));
  }
  return out + fmt::format(",{},{},{},{},{},{},{},{},{},{},{}\n", nodes_of(table, index),
                           row.at("status").get<std::string>(), csv_number(row.at("measured")),
                           csv_number(row.at("predicted")), csv_number(row.at("error")),
                           csv_number(row.at("predicted_low")), csv_number(row.at("predicted_high")),
                           csv_number(row.at("measured_memory_gb")), csv_number(row.at("predicted_memory_gb")),
                           row.at("out_of_memory").get<bool>() ? 1 : 0, row.at("predicted_oom").get<bool>() ? 1 : 0);
}

// How the values behind a table's predictions avoided its rows.
std::string fit_of(const std::string& table, const std::set<std::string>& frameworks) {
  std::string folds;
  for (const std::string& name : frameworks) {
    for (const FrameworkFit& fit : load_framework(name).fits) {
      if (fit.table == table && !fit.held_out.empty()) {
        folds += fmt::format("{}{} folds by id ({})", folds.empty() ? "" : "; ", fit.held_out.size(), name);
      }
    }
  }
  if (frameworks.empty()) {
    return "-";  // nothing was predicted
  }
  return folds.empty() ? "none" : folds;
}

// A file's summary in the scoreboard's words.
Json table_score(const Json& file, const std::string& fit) {
  Json out = {{"name", table_name(file.at("file").get<std::string>())}, {"fit", fit}};
  for (const char* count : {"rows", "simulated", "assumed", "open", "skipped"}) {
    out[count] = file.at(count);
  }
  for (const char* figure :
       {"median_abs_error", "mean_abs_error", "p90_abs_error", "bias", "spearman", "regret_median", "regret_max",
        "memory_median_abs_error", "fit_accuracy", "oom_precision", "oom_recall", "open_covered"}) {
    const Json& value = file.at(figure);
    out[figure] = value.is_null() ? Json(nullptr) : rounded(value.get<double>());
  }
  out["regret_groups"] = file.at("regret_groups");
  return out;
}

std::string what_of(const CsvTable& table, std::size_t index) {
  const auto of = [&](std::string_view column) { return table.text(index, column); };
  return fmt::format("{}, {} x {}, tp {} pp {} micro-batch {}", of("model"), of("num_gpus"), of("gpu"), of("tp"),
                     of("pp"), of("micro_batch"));
}

using Mechanisms = std::map<std::pair<std::string, std::int64_t>, std::vector<ScoredRow>>;

// Degrees are put together up to the next power of two, so that odd ones do not stand alone: the class's largest.
std::int64_t class_top(std::int64_t value) {
  std::int64_t top = 1;
  while (top < value) {
    top *= 2;
  }
  return top;
}

std::string class_name(std::int64_t top) {
  return top <= 2 ? fmt::format("{}", top) : fmt::format("{} to {}", top / 2 + 1, top);
}

Json mechanism_json(const Mechanisms& mechanisms) {
  Json out = Json::array();
  for (const auto& [key, rows] : mechanisms) {
    std::vector<const ScoredRow*> pointers;
    for (const ScoredRow& row : rows) {
      pointers.push_back(&row);
    }
    Json entry = score_json(class_name(key.second), "", rows.size(), pointers);
    entry.erase("fit");
    entry.erase("rows");
    entry["mechanism"] = key.first;
    out.push_back(std::move(entry));
  }
  return out;
}

// What a row states that its table may be cut by. Subsets look at columns, never at what was measured.
using Subsets = std::map<std::pair<std::string, std::string>, std::vector<ScoredRow>>;  // by table and name

void count_subsets(const CsvTable& table, std::size_t index, const ScoredRow& row, Subsets& subsets) {
  const bool one_node = nodes_of(table, index) == 1;
  const std::int64_t tp = table.integer(index, "tp").value_or(1);
  const std::int64_t per_node = table.integer(index, "gpus_per_node").value_or(8);
  const char* pipeline = table.integer(index, "pp").value_or(1) > 1 ? "a pipeline" : "no pipeline";
  subsets[{row.table, one_node        ? "1: one node"
                      : tp > per_node ? "4: several nodes, tp over nodes"
                                      : fmt::format("{}: several nodes, {}", *pipeline == 'n' ? 2 : 3, pipeline)}]
      .push_back(row);
}

Json subset_json(const Subsets& subsets) {
  std::map<std::string, std::size_t> of_table;
  for (const auto& [key, rows] : subsets) {
    ++of_table[key.first];
  }
  Json out = Json::array();
  for (const auto& [key, rows] : subsets) {
    if (of_table[key.first] == 1) {
      continue;  // the whole table
    }
    std::vector<const ScoredRow*> pointers;
    for (const ScoredRow& row : rows) {
      pointers.push_back(&row);
    }
    Json entry = score_json(key.second.substr(3), "", rows.size(), pointers);
    entry.erase("fit");
    entry["table"] = key.first;
    out.push_back(std::move(entry));
  }
  return out;
}

void count_mechanisms(const CsvTable& table, std::size_t index, const ScoredRow& row, Mechanisms& mechanisms) {
  for (const char* column : {"tp", "pp", "micro_batch"}) {
    mechanisms[{column, class_top(table.integer(index, column).value_or(1))}].push_back(row);
  }
  mechanisms[{"nodes", class_top(nodes_of(table, index))}].push_back(row);
}

}  // namespace

RunSection score_run_tables(std::span<const std::filesystem::path> files, Network network) {
  const RunScores scores = validate_runs(files, network);
  RunSection out{.section = {.name = "runs", .measure = "step time in seconds"}, .csv = csv_header()};
  out.accuracy = accuracy_by_framework(scores.json, network);
  out.skipped = Json::array();
  Mechanisms mechanisms;
  Subsets subsets;
  std::size_t next = 0;  // of the rows of all tables
  for (std::size_t i = 0; i < files.size(); ++i) {
    const CsvTable table = CsvTable::read(files[i]);
    const std::string name = table_name(table.file());
    std::set<std::string> frameworks;
    std::map<std::string, std::size_t> skipped;
    for (std::size_t index = 0; index < table.rows(); ++index, ++next) {
      const Json& row = scores.json.at("rows").at(next);
      const std::string status = row.at("status").get<std::string>();
      if (status == "skipped") {
        ++skipped[row.at("reason").get<std::string>()];
        continue;
      }
      frameworks.insert(row.at("framework").get<std::string>());
      out.csv += csv_line(table, index, row);
      if (row.at("error").is_null()) {
        continue;
      }
      const ScoredRow scored{.score = name,
                             .table = name,
                             .id = row.at("id").get<std::string>(),
                             .measured = row.at("measured").get<double>(),
                             .predicted = row.at("predicted").get<double>(),
                             .what = what_of(table, index),
                             .assumed = status != "simulated"};
      count_mechanisms(table, index, scored, mechanisms);
      count_subsets(table, index, scored, subsets);
      out.section.rows.push_back(scored);
    }
    out.section.scores.push_back(table_score(scores.json.at("files").at(i), fit_of(name, frameworks)));
    for (const auto& [reason, count] : skipped) {
      out.skipped.push_back({{"table", name}, {"reason", reason}, {"rows", count}});
    }
  }
  out.by_mechanism = mechanism_json(mechanisms);
  out.subsets = subset_json(subsets);
  return out;
}

}  // namespace trainyard
