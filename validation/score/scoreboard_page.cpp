#include "validation/score/scoreboard_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "sim/base/files.hpp"
#include "sim/base/json_text.hpp"
#include "validation/score/score_guard.hpp"
#include "validation/score/score_section.hpp"
#include "validation/score/scoreboard.hpp"

namespace trainyard {
namespace {

constexpr std::size_t kWorstRows = 25;    // of each section
constexpr std::size_t kWorstOfTable = 5;  // of each table of runs

std::string percent(const Json& entry, const char* key) {
  const auto found = entry.find(key);
  return found == entry.end() ? "-" : percent_text(*found);
}

std::string signed_percent(double fraction) {
  return fmt::format("{:+.1f} %", 100.0 * fraction);
}

std::string bias_of(const Json& entry) {
  return entry.at("bias").is_null() ? "-" : signed_percent(entry.at("bias").get<double>());
}

std::string rank_of(const Json& entry) {
  return entry.at("spearman").is_null() ? "-" : fmt::format("{:.3f}", entry.at("spearman").get<double>());
}

int count_of(const Json& entry, const char* key) {
  return entry.at(key).get<int>();
}

std::string errors_of(const Json& entry) {
  return fmt::format("{} | {} | {} | {} | {}", percent(entry, "median_abs_error"), percent(entry, "mean_abs_error"),
                     percent(entry, "p90_abs_error"), bias_of(entry), rank_of(entry));
}

std::string run_table(const Json& scores) {
  std::string out =
      "| table | rows | scored | of these assumed | settings open | skipped | median | mean | p90 | bias | rank corr. "
      "| regret "
      "median | regret worst | memory median | fit / OOM right | OOM precision | OOM recall | open rows within | fit "
      "|\n"
      "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const Json& entry : scores) {
    out += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
                       entry.at("name").get<std::string>(), count_of(entry, "rows"), count_of(entry, "simulated"),
                       count_of(entry, "assumed"), count_of(entry, "open"), count_of(entry, "skipped"),
                       errors_of(entry), percent(entry, "regret_median"), percent(entry, "regret_max"),
                       percent(entry, "memory_median_abs_error"), percent(entry, "fit_accuracy"),
                       percent(entry, "oom_precision"), percent(entry, "oom_recall"), percent(entry, "open_covered"),
                       entry.at("fit").get<std::string>());
  }
  return out;
}

std::string plain_table(const Json& scores) {
  std::string out =
      "| score | rows | scored | median | mean | p90 | bias | rank corr. | fit "
      "|\n|---|---|---|---|---|---|---|---|---|\n";
  for (const Json& entry : scores) {
    out += fmt::format("| {} | {} | {} | {} | {} |\n", entry.at("name").get<std::string>(), count_of(entry, "rows"),
                       count_of(entry, "simulated"), errors_of(entry), entry.at("fit").get<std::string>());
  }
  return out;
}

std::string subset_table(const Json& subsets) {
  std::string out =
      "The same rows by what they state:\n\n| table | subset | rows | median | mean | p90 | bias |\n"
      "|---|---|---|---|---|---|---|\n";
  for (const Json& entry : subsets) {
    out += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", entry.at("table").get<std::string>(),
                       entry.at("name").get<std::string>(), count_of(entry, "simulated"),
                       percent(entry, "median_abs_error"), percent(entry, "mean_abs_error"),
                       percent(entry, "p90_abs_error"), bias_of(entry));
  }
  return out;
}

std::string mechanism_table(const Json& mechanisms) {
  std::string out = "| mechanism | degree | rows | median | mean | p90 | bias |\n|---|---|---|---|---|---|---|\n";
  for (const Json& entry : mechanisms) {
    out += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", entry.at("mechanism").get<std::string>(),
                       entry.at("name").get<std::string>(), count_of(entry, "simulated"),
                       percent(entry, "median_abs_error"), percent(entry, "mean_abs_error"),
                       percent(entry, "p90_abs_error"), bias_of(entry));
  }
  return out;
}

// The worst of the rows first, at most so many of one score.
std::vector<const ScoredRow*> worst_of(const ScoreSection& section, std::size_t most_of_one) {
  std::vector<const ScoredRow*> rows;
  for (const ScoredRow& row : section.rows) {
    rows.push_back(&row);
  }
  const auto ratio = [](const ScoredRow& row) { return std::abs(std::log(row.predicted / row.measured)); };
  std::stable_sort(rows.begin(), rows.end(),
                   [&](const ScoredRow* a, const ScoredRow* b) { return ratio(*a) > ratio(*b); });
  std::map<std::string, std::size_t> listed;
  std::erase_if(rows, [&](const ScoredRow* row) { return ++listed[row->score] > most_of_one; });
  return rows;
}

// Of runs the worst of every table, of kernels and collectives the worst of all.
std::string worst_rows(const ScoreSection& section) {
  const bool by_table = section.name == "runs";
  std::vector<const ScoredRow*> rows = worst_of(section, by_table ? kWorstOfTable : kWorstRows);
  if (by_table) {
    std::stable_sort(rows.begin(), rows.end(),
                     [](const ScoredRow* a, const ScoredRow* b) { return a->score < b->score; });
  } else {
    rows.resize(std::min(rows.size(), kWorstRows));
  }
  std::string out = fmt::format(
      "The {} worst rows{}:\n\n| score | row | what | measured | predicted | error |\n|---|---|---|---|---|---|\n",
      by_table ? kWorstOfTable : rows.size(), by_table ? " of each table" : "");
  for (const ScoredRow* row : rows) {
    out += fmt::format("| {} | {} | {} | {:.4g} | {:.4g} | {} |\n", row->score, row->id, row->what, row->measured,
                       row->predicted, signed_percent(row->error()));
  }
  return out;
}

std::string skipped_table(const Json& skipped) {
  std::string out =
      "Rows that cannot be simulated, by the first reason found:\n\n| table | rows | reason |\n|---|---|---|\n";
  for (const Json& entry : skipped) {
    out += fmt::format("| {} | {} | {} |\n", entry.at("table").get<std::string>(), count_of(entry, "rows"),
                       entry.at("reason").get<std::string>());
  }
  return out;
}

struct SectionWords {
  std::string_view section;
  std::string_view title;
  std::string_view text;
};
constexpr std::array<SectionWords, 7> kWords = {
    {{"runs", "Training runs",
      "Every run that states enough is simulated from its row, the catalogues and the framework profiles, and every "
      "row that is simulated counts; nothing is set by row, by table or by what was measured. *Assumed*: a value that "
      "matters is not stated or not modelled, and the profile's default holds. *Settings open*: the source names "
      "several "
      "values of a setting and not which run had which; the score is of the profile's default, and *open rows within* "
      "says how many of them were measured between what all readings predict, or within 10 % of it. *Regret*: how much "
      "slower than the "
      "measured best layout of a question the predicted best really was. *Fit*: how the fitted values behind a table's "
      "predictions avoided its rows: *none*: they come from other tables; *folds by id*: a row is predicted with "
      "values "
      "fitted without its fold."},
     {"memory", "Memory",
      "The first pipeline stage against the paper's figures; nothing is fitted. Measured memory of whole "
      "runs is in the table above."},
     {"collectives", "Collectives",
      "*As users get them*: with the calibration that ships for the row's cluster. *Held out*, and all rows below: "
      "each "
      "row is predicted by curves fitted to the other four fifths of its system's rows, cut by configuration."},
     {"gemm", "GEMM",
      "Five folds by shape: a row is predicted with parameters fitted without its fold, on whichever GPU the shape was "
      "measured. *None, priced by X*: the GPU has no fit of its own and is priced by X's."},
     {"attention", "Attention", "Folds as for GEMM."},
     {"convolutions", "Convolutions",
      "Forward, gradients of inputs and of filters. The model has a multiplier for each algorithm, pass and kind of "
      "units, fitted to GPUs of Maxwell and Pascal and to this project's H100, in folds by shape; other GPUs' rows are "
      "priced with those."},
     {"membound", "Kernels bound by memory", "Folds as for GEMM."}}};

std::string section_text(const Scoreboard& board, const ScoreSection& section) {
  const auto* words =
      std::find_if(kWords.begin(), kWords.end(), [&](const SectionWords& one) { return one.section == section.name; });
  TY_ASSERT(words != kWords.end());
  std::string out = fmt::format("\n## {}\n\n{}\n\n", words->title, words->text);
  out += section.name == "runs" ? run_table(section.scores) : plain_table(section.scores);
  out +=
      fmt::format("\n![predicted against measured](figures/{0}_predicted.svg)\n\n![errors](figures/{0}_errors.svg)\n\n",
                  section.name);
  if (section.name == "runs") {
    out += subset_table(board.scores.at("runs_subsets")) + "\n";
    out += mechanism_table(board.scores.at("runs_by_mechanism")) + "\n";
  }
  out += worst_rows(section);
  if (section.name == "runs") {
    out += "\n" + skipped_table(board.scores.at("runs_skipped"));
  }
  return out;
}

}  // namespace

std::string scoreboard_page(const Scoreboard& board) {
  std::string out = fmt::format(
      "# Scoreboard\n\nHow far predictions are from every committed measurement (`published`), losing rows included. "
      "Written, together with `scores.json`, `accuracy.json`, `results/runs.csv` and the figures, by\n\n"
      "    ./trainyard validate all --write validation/SCOREBOARD.md\n\n"
      "Errors are predicted / measured - 1; medians, means and ninetieth percentiles (p90) are of their absolute "
      "values, the bias "
      "is the mean with its sign. Runs were simulated with `--network {}`. A test fails when a figure here gets worse "
      "by more "
      "than half a percentage point (`trainyard validate all --check validation/scores.json`).\n",
      board.scores.at("network").get<std::string>());
  out += "\n## Overall\n\n" + plain_table(board.scores.at("sections").at(kOverallSection));
  for (const ScoreSection& section : board.sections) {
    out += section_text(board, section);
  }
  return out;
}

void write_scoreboard(const Scoreboard& board, const std::filesystem::path& page) {
  const std::filesystem::path folder = page.parent_path();
  std::filesystem::create_directories(folder / "results");
  std::filesystem::create_directories(folder / "figures");
  for (const auto& [name, svg] : board.figures) {
    write_file(folder / "figures" / (name + ".svg"), svg);
  }
  write_file(folder / "results/runs.csv", board.runs_csv);
  write_file(folder / "scores.json", json_text(board.scores, 1) + "\n");
  if (!board.accuracy.is_null()) {
    write_file(folder / "accuracy.json", json_text(board.accuracy, 2) + "\n");
  }
  write_file(page, scoreboard_page(board));
}

}  // namespace trainyard
