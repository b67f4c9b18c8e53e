#include "validation/tables/run_row.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "kernels/gpu.hpp"
#include "sim/base/files.hpp"
#include "sim/base/json_text.hpp"
#include "sim/scenario/framework.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "sim/scenario/scenario.hpp"
#include "topologies/cluster.hpp"
#include "validation/tables/gpu_words.hpp"
#include "validation/tables/run_columns.hpp"
#include "validation/tables/run_model.hpp"

namespace trainyard {
namespace {

// The value at a path of a document, in text; empty when there is none.
std::string text_at(const Json& document, std::string_view path) {
  std::string pointer = "/" + std::string(path);
  std::replace(pointer.begin(), pointer.end(), '.', '/');
  const Json::json_pointer place(pointer);
  return document.contains(place) ? json_text(document.at(place)) : "";
}

// The profile that the first word of a framework's name and version is, as of "OneFlow 0.2".
std::optional<std::string> profile_named(const std::string& framework) {
  std::string first = framework.substr(0, framework.find(' '));
  std::transform(first.begin(), first.end(), first.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const std::vector<std::string> names = framework_names();
  return std::find(names.begin(), names.end(), first) != names.end() ? std::optional(first) : std::nullopt;
}

class RowReader {
 public:
  RowReader(const CsvTable& table, std::size_t row) : table_(table), row_(row) {}

  RunRow read() {
    out_.id = text("id");
    out_.framework = text("framework_profile");
    out_.gpu = name_meant(gpu_names(), text("gpu")).value_or(text("gpu"));
    table_.flag(row_, "complete");  // checked, and of no use to a prediction
    out_.step = table_.measurement(row_, "measured_step_s", kMeasuredSeconds);
    out_.memory_gb = table_.measurement(row_, "memory_gb", kMeasuredBytes.in(1e-9));
    out_.out_of_memory = table_.flag(row_, "oom").value_or(false);
    out_.group = fmt::format("{}|{}|{}|{}|{}|{}|{}", text("model"), text("layers"), text("hidden"), text("num_gpus"),
                             text("global_batch"), text("seq_len"), text("gpu"));
    RunModel model = read_run_model(table_, row_);
    skip(std::move(model.skipped));
    out_.assumed = std::move(model.assumed);
    if (!out_.step && !out_.out_of_memory) {
      skip("no measured step time");
    }
    if (model.has_sequences) {
      require({"seq_len"});
    }
    require({"num_gpus", "tp", "pp", "micro_batch", "global_batch"});
    choose_framework_and_cluster();
    StatedSettings stated = read_settings(table_, row_);
    std::vector<RunSetting> all = stated_sizes(table_, row_);
    all.insert(all.end(), stated.settings.begin(), stated.settings.end());
    refuse_set_twice(table_, row_, all);
    if (out_.skipped.empty()) {
      out_.assumed.insert(out_.assumed.end(), stated.assumed.begin(), stated.assumed.end());
      assume_unstated();
      note_contradictions(stated.settings);
      fill(std::move(model.model), std::move(stated.settings));
    }
    return std::move(out_);
  }

 private:
  const std::string& text(std::string_view column) const { return table_.text(row_, column); }

  void skip(std::string reason) {
    if (out_.skipped.empty()) {
      out_.skipped = std::move(reason);
    }
  }
  void require(std::initializer_list<std::string_view> columns) {
    for (const std::string_view column : columns) {
      if (text(column).empty()) {
        skip(fmt::format("{} is not stated", column));
      }
    }
  }

  // Of profiles that end in a year, such as mxnet-horovod-2020 beside mxnet-horovod, the first that is not older than
  // the release which the row names ("NGC MXNet 20.03").
  std::string of_release(const std::string& profile) const {
    static const std::regex kRelease(R"((?:^|[^0-9.])([12][0-9])\.(?:0[1-9]|1[0-2])(?:[^0-9.]|$))");
    std::smatch found;
    const std::string& software = text("framework");
    if (!std::regex_search(software, found, kRelease)) {
      return profile;
    }
    constexpr int kYears = 100;
    for (int year = std::stoi(found[1]); year < kYears; ++year) {
      std::string dated = fmt::format("{}-20{}", profile, year);
      const std::vector<std::string> names = framework_names();
      if (std::find(names.begin(), names.end(), dated) != names.end()) {
        return dated;
      }
    }
    return profile;
  }

  void choose_framework_and_cluster() {
    if (const auto named = out_.framework.empty() ? profile_named(text("framework")) : std::nullopt) {
      out_.framework = *named;
    } else if (out_.framework.empty()) {
      out_.framework = "megatron-core";
      out_.assumed.emplace_back("framework_profile is not stated");
    } else if (const auto known = name_meant(framework_names(), out_.framework)) {
      out_.framework = of_release(*known);
    } else {
      skip(fmt::format("no framework profile {}", out_.framework));
    }
    cluster_ = text("cluster");
    if (cluster_.empty()) {
      if (const auto found = default_cluster(out_.gpu)) {
        cluster_ = *found;
        out_.assumed.emplace_back("cluster is not stated");
      } else {
        skip(out_.gpu.empty() ? "neither cluster nor gpu is stated" : fmt::format("no cluster with {}", out_.gpu));
      }
    }
    if (const auto known = name_meant(cluster_names(), cluster_)) {
      cluster_ = *known;
    } else if (!cluster_.empty()) {
      choose_cluster_file();
    }
  }

  // What matters to the step and has no value: the profile's default holds.
  void assume_unstated() {
    for (const std::string_view column : {"precision", "recompute", "zero_stage"}) {
      if (text(column).empty()) {
        out_.assumed.push_back(fmt::format("{} is not stated", column));
      }
    }
    if (text("sequence_parallel").empty() && text("tp") != "1") {
      out_.assumed.emplace_back("sequence_parallel is not stated");
    }
  }

  // Columns that no key of the scenario holds, because they follow from others, and that say something else.
  void note_contradictions(const std::vector<RunSetting>& settings) {
    const std::int64_t gpus = *table_.integer(row_, "num_gpus");
    const auto node = table_.integer(row_, "gpus_per_node");
    const std::int64_t has = load_cluster(cluster_).gpus_per_node;
    if (node && std::min(*node, gpus) != std::min(has, gpus)) {
      out_.assumed.push_back(fmt::format("gpus_per_node {} is not what {} has: {} are assumed", *node, cluster_, has));
    }
    const auto stated = [&](std::string_view path, std::int64_t otherwise) -> std::optional<std::int64_t> {
      const auto found =
          std::find_if(settings.begin(), settings.end(), [&](const RunSetting& one) { return one.path == path; });
      if (found == settings.end()) {
        return otherwise;
      }
      const bool is_one = found->values.size() == 1 && found->values.front().is_number_integer();
      return is_one ? std::optional(found->values.front().get<std::int64_t>()) : std::nullopt;
    };
    const auto steps = table_.integer(row_, "grad_accum");
    const auto tp = stated("layout.tp", 1);
    const auto pp = stated("layout.pp", 1);
    const auto cp = stated("layout.cp", 1);
    const auto micro = stated("training.micro_batch", 0);
    const auto global = stated("training.global_batch", 0);
    if (!steps || !tp || !pp || !cp || !micro || !global) {
      return;
    }
    const double others = static_cast<double>(*tp) * static_cast<double>(*pp) * static_cast<double>(*cp);
    const double dp = std::max(1.0, static_cast<double>(gpus) / std::max(1.0, others));
    const double follows = static_cast<double>(*global) / (static_cast<double>(*micro) * dp);
    if (*micro > 0 && static_cast<double>(*steps) != follows) {
      out_.assumed.push_back(
          fmt::format("grad_accum {} is not what the batches give: {:g} is assumed", *steps, follows));
    }
  }

  // Of formats left open, those that the GPU has units for: PyTorch's "TF32 or FP32" is FP32 on Volta.
  void drop_formats_without_units(RunSetting& setting) const {
    const std::string gpu = name_meant(gpu_names(), out_.gpu).value_or(load_cluster(cluster_).gpu);
    const auto lacks = [spec = load_gpu(gpu)](const Json& value) {
      const auto format = value.is_string() ? kPrecisionNames.find(value.get<std::string>()) : std::nullopt;
      return format && !spec.has_format(*format);
    };
    if (setting.path == "training.precision" && setting.values.size() > 1 &&
        !std::all_of(setting.values.begin(), setting.values.end(), lacks)) {
      std::erase_if(setting.values, lacks);
    }
  }

  void fill(Json model, std::vector<RunSetting> settings) {
    Json scenario = {
        {"model", std::move(model)}, {"cluster", cluster_},        {"gpus", *table_.integer(row_, "num_gpus")},
        {"layout", Json::object()},  {"training", Json::object()}, {"framework", out_.framework}};
    choose_gpu(scenario);
    std::vector<const RunSetting*> open;
    for (RunSetting& setting : settings) {
      drop_formats_without_units(setting);
      if (setting.path.starts_with("model.") && !scenario.at("model").is_object()) {
        skip(fmt::format("{} needs the sizes of the model, not a file", setting.column));
      } else if (setting.values.size() == 1) {
        set(scenario, setting, setting.values.front());
      } else {
        open.push_back(&setting);
      }
    }
    if (out_.skipped.empty()) {
      out_.scenarios = readings(scenario, open);
    }
  }

  // A cluster of the user's own: a file beside the table, or by its path.
  void choose_cluster_file() {
    const std::filesystem::path beside = std::filesystem::path(table_.file()).parent_path() / cluster_;
    for (const std::filesystem::path& path : {beside, std::filesystem::path(cluster_)}) {
      if (cluster_.ends_with(".json") && std::filesystem::exists(path)) {
        cluster_ = path.string();
        return;
      }
    }
    skip(fmt::format("no cluster {}", cluster_));
  }

  // A row may name a GPU with another memory size than the cluster's usual one.
  void choose_gpu(Json& scenario) {
    const std::string usual = load_cluster(cluster_).gpu;
    if (out_.gpu.empty() || usual.starts_with(out_.gpu)) {
      return;
    }
    if (name_meant(gpu_names(), out_.gpu)) {
      scenario["gpu"] = out_.gpu;
    } else {
      out_.assumed.push_back(
          fmt::format("gpu {} is not in the catalogue: {} of {} is assumed", out_.gpu, usual, cluster_));
    }
  }

  void set(Json& scenario, const RunSetting& setting, const Json& value) const {
    if (!set_path(scenario, setting.path, value)) {
      table_.fail(row_, setting.column, fmt::format("{} leads through a value that has no keys", setting.path),
                  "the path of a key of the scenario");
    }
  }

  // Every reading of what the source leaves open, the one to score first.
  std::vector<Json> readings(const Json& scenario, const std::vector<const RunSetting*>& open) {
    std::vector<Json> out = {scenario};
    for (const RunSetting* setting : open) {
      const std::vector<Json> values = default_first(scenario, *setting);
      std::string words = setting->column + ":";
      for (const Json& value : setting->values) {
        words += fmt::format("{} {}", &value == &setting->values.front() ? "" : " or", plain_text(value));
      }
      out_.open.push_back(std::move(words));
      std::vector<Json> more;
      for (const Json& value : values) {
        for (const Json& one : out) {
          more.push_back(one);
          set(more.back(), *setting, value);
        }
      }
      out = std::move(more);
    }
    return out;
  }

  // The values of an open setting, that of the profile before the others where it is one of them.
  std::vector<Json> default_first(const Json& scenario, const RunSetting& setting) const {
    std::vector<Json> values = setting.values;
    try {
      const std::string usual = text_at(read_scenario(scenario, table_.file()).resolved, setting.path);
      std::stable_partition(values.begin(), values.end(), [&](const Json& value) { return json_text(value) == usual; });
    } catch (const UserError&) {
      return values;  // the simulation says what is wrong with the row
    }
    return values;
  }

  const CsvTable& table_;
  std::size_t row_;
  std::string cluster_;
  RunRow out_;
};

}  // namespace

void check_run_columns(const CsvTable& table) {
  table.require_columns(
      {"id", "model", "num_gpus", "seq_len", "tp", "pp", "micro_batch", "global_batch", "measured_step_s"});
}

RunRow read_run_row(const CsvTable& table, std::size_t row) {
  return RowReader(table, row).read();
}

}  // namespace trainyard
