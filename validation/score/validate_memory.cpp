#include "validation/score/validate_memory.hpp"

#include <fmt/format.h>

#include <array>

#include "sim/base/csv.hpp"
#include "sim/base/files.hpp"
#include "sim/memory/memory_estimate.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "sim/scenario/scenario.hpp"

namespace trainyard {
namespace {

constexpr double kUnitOfColumns = (1_GiB).value;
constexpr MeasuredRange kMeasuredPercent{1e-3, 1e6};
constexpr std::int64_t kMicroBatchesPerStage = 2;  // enough that the pipeline fills

struct Mode {
  std::string_view name;
  bool sequence_parallel;
  std::string_view recompute;
};
// Source: arXiv 2205.05198, figures 1 and 7.
constexpr std::array<Mode, 5> kModes = {{{"none", false, "none"},
                                         {"seq", true, "none"},
                                         {"sel", false, "selective"},
                                         {"seqsel", true, "selective"},
                                         {"full", false, "full"}}};

// The first stage of one job of a table in one mode.
class Jobs {
 public:
  explicit Jobs(const std::filesystem::path& table)
      : path_(table.parent_path() / "jobs.json"), document_(read_json_file(path_)) {}

  MemoryUses first_stage(const CsvTable& table, std::size_t row, const Mode& mode) const {
    const JsonReader job = JsonReader(document_, path_.string()).at(table.text(row, "model"));
    const std::int64_t tp = table.integer(row, "tp").value_or(1);
    const std::int64_t pp = job.at("pp").integer(1, 1 << 20);
    const std::int64_t micro_batch = table.integer(row, "micro_batch").value_or(1);
    // Source of the framework and of 18 bytes a parameter: the paper's code is Megatron-LM of 2022, and its figure 1
    // counts fp32 gradients beside 16-bit ones' place.
    const Json scenario = {{"model", job.at("model").text()},
                           {"cluster", "dgx-a100"},
                           {"gpus", tp * pp},
                           {"layout",
                            {{"tp", tp},
                             {"pp", pp},
                             {"vpp", job.at("vpp").integer(1, 64)},
                             {"sequence_parallel", mode.sequence_parallel}}},
                           {"training",
                            {{"micro_batch", micro_batch},
                             {"global_batch", micro_batch * pp * kMicroBatchesPerStage},
                             {"recompute", mode.recompute},
                             {"grad_dtype", "fp32"}}},
                           {"framework", "megatron-lm-2022"}};
    const Scenario read = read_scenario(scenario, table.file());
    return estimate_memory(read, make_layout(read)).stages.front().uses;
  }

 private:
  std::filesystem::path path_;
  Json document_;
};

const Mode& mode_of(const CsvTable& table, std::size_t row) {
  for (const Mode& mode : kModes) {
    if (mode.name == table.text(row, "mode")) {
      return mode;
    }
  }
  throw UserError({.file = table.file(),
                   .found = table.text(row, "mode"),
                   .allowed = "none, seq, sel, seqsel, full",
                   .problem = "unknown mode of recomputation"});
}

std::vector<ScoredRow> score_row(const Jobs& jobs, const CsvTable& table, std::size_t row) {
  const Mode& mode = mode_of(table, row);
  const MemoryUses uses = jobs.first_stage(table, row, mode);
  const std::string name = table_name(table.file());
  std::vector<ScoredRow> out;
  const auto add = [&](const char* score, double measured, double predicted) {
    out.push_back({.score = fmt::format("{}: {}", name, score),
                   .table = name,
                   .id = table.text(row, "id"),
                   .measured = measured,
                   .predicted = predicted,
                   .what = fmt::format("{}, {}", table.text(row, "model"), mode.name)});
  };
  if (const auto activations = table.measurement(row, "activations_gib", kMeasuredBytes.in(1.0 / kUnitOfColumns))) {
    add("activations, GiB", *activations, uses[MemoryUse::kActivations] / 1_GiB);
  }
  if (const auto states = table.measurement(row, "params_and_optimizer_gib", kMeasuredBytes.in(1.0 / kUnitOfColumns))) {
    const Bytes predicted = uses[MemoryUse::kParameters] + uses[MemoryUse::kGradients] + uses[MemoryUse::kOptimizer];
    add("model states, GiB", *states, predicted / 1_GiB);
  }
  // The baseline is 100 % by definition and tests nothing.
  if (const auto percent = table.measurement(row, "percent_of_no_recompute_tp", kMeasuredPercent);
      percent && mode.name != kModes[0].name) {
    const MemoryUses baseline = jobs.first_stage(table, row, kModes[0]);
    add("activations, % of no recomputation", *percent,
        100.0 * (uses[MemoryUse::kActivations] / baseline[MemoryUse::kActivations]));
  }
  return out;
}

Json row_json(const std::string& file, const ScoredRow& row) {
  return {{"file", file},
          {"id", row.id},
          {"status", "simulated"},
          {"group", row.score},
          {"measured", row.measured},
          {"predicted", row.predicted},
          {"error", row.error()},
          {"reason", nullptr}};
}

}  // namespace

MemoryValidation validate_memory(std::span<const std::filesystem::path> files) {
  MemoryValidation out{.json = {{"files", Json::array()}, {"rows", Json::array()}},
                       .section = {.name = "memory", .measure = "GiB, or per cent"}};
  for (const std::filesystem::path& file : files) {
    const CsvTable table = CsvTable::read(file);
    if (!table.has_column("activations_gib") || !table.has_column("mode")) {
      throw UserError({.file = file.string(),
                       .allowed = "columns model, mode, tp, micro_batch, activations_gib, params_and_optimizer_gib, "
                                  "percent_of_no_recompute_tp",
                       .problem = "this is not a table of memory figures"});
    }
    const Jobs jobs(file);
    std::vector<ScoredRow> rows;
    for (std::size_t row = 0; row < table.rows(); ++row) {
      const std::vector<ScoredRow> scored = score_row(jobs, table, row);
      rows.insert(rows.end(), scored.begin(), scored.end());
    }
    Json summary = {{"file", file.string()}, {"by_group", Json::array()}};
    const auto by_score = rows_by_score(rows);
    for (const auto& [score, members] : by_score) {
      const Json entry = score_json(score, "none", members.size(), members);
      out.section.scores.push_back(entry);
      summary["by_group"].push_back(entry);
      out.text += fmt::format("{:<60} {:>3} rows  median {:.2f} %  p90 {:.2f} %\n", score, members.size(),
                              100.0 * entry.at("median_abs_error").get<double>(),
                              100.0 * entry.at("p90_abs_error").get<double>());
    }
    out.json["files"].push_back(std::move(summary));
    for (const ScoredRow& row : rows) {
      out.json["rows"].push_back(row_json(file.string(), row));
      out.section.rows.push_back(row);
    }
  }
  return out;
}

}  // namespace trainyard
