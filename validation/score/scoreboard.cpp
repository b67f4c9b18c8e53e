#include "validation/score/scoreboard.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>

#include "sim/base/files.hpp"
#include "sim/base/fork_pool.hpp"
#include "sim/base/json_text.hpp"
#include "validation/score/collective_scores.hpp"
#include "validation/score/kernel_scores.hpp"
#include "validation/score/run_scores.hpp"
#include "validation/score/score_charts.hpp"
#include "validation/score/score_guard.hpp"
#include "validation/score/validate_kernels.hpp"
#include "validation/score/validate_memory.hpp"

namespace trainyard {
namespace {

using Paths = std::vector<std::filesystem::path>;

struct TableKind {
  std::string_view prefix;  // of the tables' names
  std::string_view section;
};
constexpr std::array<TableKind, 8> kKinds = {{{"runs_", "runs"},
                                              {"memory_", "memory"},
                                              {"nccl_", "collectives"},
                                              {"gemm_", "gemm"},
                                              {"grouped_gemm_", "gemm"},
                                              {"attention_", "attention"},
                                              {"conv_", "convolutions"},
                                              {"membound_", "membound"}}};

std::map<std::string, Paths> tables_by_section(std::span<const std::filesystem::path> tables) {
  std::map<std::string, Paths> out;
  for (const std::filesystem::path& table : tables) {
    const std::string name = table.filename().string();
    const auto kind =
        std::find_if(kKinds.begin(), kKinds.end(), [&](const TableKind& one) { return name.starts_with(one.prefix); });
    if (kind == kKinds.end()) {
      throw UserError({.file = table.string(),
                       .found = name,
                       .allowed = "names that begin with runs_, memory_, nccl_, gemm_, grouped_gemm_, attention_, "
                                  "conv_, membound_",
                       .problem = "the name does not say what kind of table this is"});
    }
    out[std::string(kind->section)].push_back(table);
  }
  return out;
}

std::vector<std::string> texts(const Paths& paths) {
  std::vector<std::string> out;
  for (const std::filesystem::path& path : paths) {
    out.push_back(path.string());
  }
  return out;
}

// Sections cross from a child process as text.
Json section_json(const ScoreSection& section) {
  Json rows = Json::array();
  for (const ScoredRow& row : section.rows) {
    rows.push_back({row.score, row.table, row.id, row.measured, row.predicted, row.what});
  }
  return {{"name", section.name}, {"measure", section.measure}, {"scores", section.scores}, {"rows", std::move(rows)}};
}

ScoreSection section_of(const Json& json) {
  ScoreSection section{.name = json.at("name").get<std::string>(),
                       .measure = json.at("measure").get<std::string>(),
                       .scores = json.at("scores")};
  for (const Json& row : json.at("rows")) {
    section.rows.push_back({.score = row.at(0).get<std::string>(),
                            .table = row.at(1).get<std::string>(),
                            .id = row.at(2).get<std::string>(),
                            .measured = row.at(3).get<double>(),
                            .predicted = row.at(4).get<double>(),
                            .what = row.at(5).get<std::string>()});
  }
  return section;
}

using Work = std::function<ScoreSection()>;

// What needs no simulation, one task a section; each runs in a child, so all processors are used.
std::vector<ScoreSection> score_in_children(const std::vector<Work>& tasks) {
  const auto results = run_in_children(tasks.size(), available_processors(),
                                       [&](std::size_t task) { return json_text(section_json(tasks[task]())); });
  std::vector<ScoreSection> sections;
  for (const auto& result : results) {
    if (!result) {
      throw UserError({.file = "validate all", .problem = "a part of the scoreboard failed; see the message above"},
                      ExitCode::kInternal);
    }
    sections.push_back(section_of(Json::parse(*result)));
  }
  return sections;
}

std::vector<Work> tasks_for(const std::map<std::string, Paths>& by_section) {
  std::vector<Work> tasks;
  const auto add = [&](const char* section, auto score) {
    if (const auto found = by_section.find(section); found != by_section.end()) {
      tasks.emplace_back([paths = found->second, score] { return score(paths); });
    }
  };
  add("memory", [](const Paths& paths) { return validate_memory(paths).section; });
  add("collectives",
      [](const Paths& paths) { return score_collective_tables(validate_collectives({.files = paths})); });
  add("gemm", [](const Paths& paths) { return score_kernel_tables("gemm", validate_gemm(texts(paths), nullptr)); });
  add("attention",
      [](const Paths& paths) { return score_kernel_tables("attention", validate_attention(texts(paths), nullptr)); });
  add("convolutions", [](const Paths& paths) {
    return score_kernel_tables("convolutions", validate_convolutions(texts(paths), nullptr));
  });
  add("membound",
      [](const Paths& paths) { return score_kernel_tables("membound", validate_memory_bound(texts(paths), nullptr)); });
  return tasks;
}

std::vector<ChartSeries> chart_series(const ScoreSection& section, bool by_table) {
  std::map<std::string, ChartSeries> series;
  for (const ScoredRow& row : section.rows) {
    const std::string name = by_table ? row.table : row.score;
    ChartSeries& one = series[name];
    one.name = name;
    one.measured.push_back(row.measured);
    one.predicted.push_back(row.predicted);
  }
  std::vector<ChartSeries> out;
  for (auto& [name, one] : series) {
    out.push_back(std::move(one));
  }
  return out;
}

void draw(const ScoreSection& section, std::map<std::string, std::string>& figures) {
  figures[section.name + "_predicted"] = draw_predicted_against_measured(
      fmt::format("{}: {}", section.name, section.measure), chart_series(section, true));
  figures[section.name + "_errors"] =
      draw_error_distribution(fmt::format("{}: error of the prediction (deciles, quartiles, median)", section.name),
                              chart_series(section, false));
}

Json overall_score(const std::string& name, const ScoreSection& section, bool with_assumed) {
  std::vector<const ScoredRow*> rows;
  for (const ScoredRow& row : section.rows) {
    if (with_assumed || !row.assumed) {
      rows.push_back(&row);
    }
  }
  return score_json(name, "see the section", rows.size(), rows);
}

Json overall_scores(const std::vector<ScoreSection>& sections) {
  Json out = Json::array();
  for (const ScoreSection& section : sections) {
    out.push_back(overall_score(section.name, section, true));
    if (section.name == "runs") {
      out.push_back(overall_score("runs that state everything", section, false));
    }
  }
  return out;
}

}  // namespace

std::vector<std::filesystem::path> published_tables() {
  Paths out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(home_folder() / "validation/published")) {
    if (entry.path().extension() == ".csv") {
      out.push_back(entry.path());
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

Scoreboard make_scoreboard(std::span<const std::filesystem::path> tables, Network network) {
  const std::map<std::string, Paths> by_section = tables_by_section(tables);
  Scoreboard board;
  board.scores = {{"format", 1}, {"network", kNetworkNames.name_of(network)}, {"sections", Json::object()}};
  if (const auto runs = by_section.find("runs"); runs != by_section.end()) {
    RunSection scored = score_run_tables(runs->second, network);
    board.accuracy = std::move(scored.accuracy);
    board.runs_csv = std::move(scored.csv);
    board.sections.push_back(std::move(scored.section));
    board.scores["runs_by_mechanism"] = std::move(scored.by_mechanism);
    board.scores["runs_subsets"] = std::move(scored.subsets);
    board.scores["runs_skipped"] = std::move(scored.skipped);
  }
  for (ScoreSection& section : score_in_children(tasks_for(by_section))) {
    board.sections.push_back(std::move(section));
  }
  board.scores["sections"][kOverallSection] = overall_scores(board.sections);
  for (const ScoreSection& section : board.sections) {
    board.scores["sections"][section.name] = section.scores;
    draw(section, board.figures);
  }
  return board;
}

}  // namespace trainyard
