#include "validation/tables/run_columns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "validation/tables/run_column_words.hpp"

namespace trainyard {
namespace {

enum class ColumnKind {
  kCount,   // a whole number
  kNumber,  // a number
  kFlag,    // 1 or 0
  kWord,    // a word of the scenario
  kCounts,  // whole numbers: [4,8,8,4] or 4 8 8 4
  kWords,   // words with commas between them
};

struct RunColumn {
  std::string_view name;
  std::string_view path;
  ColumnKind kind;
};
constexpr std::array<RunColumn, 40> kColumns = {{
    {"tp", "layout.tp", ColumnKind::kCount},
    {"pp", "layout.pp", ColumnKind::kCount},
    {"vpp", "layout.vpp", ColumnKind::kCount},
    {"cp", "layout.cp", ColumnKind::kCount},
    {"cp_type", "layout.cp_type", ColumnKind::kWord},
    {"cp_inner", "layout.cp_inner", ColumnKind::kCount},
    {"ep", "layout.ep", ColumnKind::kCount},
    {"etp", "layout.etp", ColumnKind::kCount},
    {"dp", "layout.dp", ColumnKind::kCount},
    {"hsdp_shard", "layout.hsdp_shard", ColumnKind::kCount},
    {"sequence_parallel", "layout.sequence_parallel", ColumnKind::kFlag},
    {"tp_overlap", "layout.tp_overlap", ColumnKind::kFlag},
    {"ep_overlap", "layout.ep_overlap", ColumnKind::kFlag},
    {"order", "layout.order", ColumnKind::kWord},
    {"layers_per_stage", "layout.layers_per_stage", ColumnKind::kCounts},
    {"embedding", "layout.embedding", ColumnKind::kWord},
    {"loss", "layout.loss", ColumnKind::kWord},
    {"seq_len", "training.seq_len", ColumnKind::kCount},
    {"micro_batch", "training.micro_batch", ColumnKind::kCount},
    {"global_batch", "training.global_batch", ColumnKind::kCount},
    {"precision", "training.precision", ColumnKind::kWord},
    {"param_dtype", "training.param_dtype", ColumnKind::kWord},
    {"grad_dtype", "training.grad_dtype", ColumnKind::kWord},
    {"master_dtype", "training.master_dtype", ColumnKind::kWord},
    {"optimizer_dtype", "training.optimizer_dtype", ColumnKind::kWord},
    {"weight_copies", "training.weight_copies", ColumnKind::kCount},
    {"optimizer", "training.optimizer", ColumnKind::kWord},
    {"recompute", "training.recompute", ColumnKind::kWord},
    {"recompute_method", "training.recompute_method", ColumnKind::kWord},
    {"recompute_layers", "training.recompute_layers", ColumnKind::kCount},
    {"recompute_modules", "training.recompute_modules", ColumnKind::kWords},
    {"zero_stage", "training.zero_stage", ColumnKind::kCount},
    {"schedule", "training.schedule", ColumnKind::kWord},
    {"micro_batch_group", "training.micro_batch_group", ColumnKind::kCount},
    {"p2p", "training.p2p", ColumnKind::kWord},
    {"distributed_debug", "training.distributed_debug", ColumnKind::kWord},
    {"dispatcher", "training.experts.dispatcher", ColumnKind::kWord},
    {"capacity_factor", "training.experts.capacity_factor", ColumnKind::kNumber},
    {"attention", "training.attention", ColumnKind::kWord},
    {"loss_kernel", "training.loss_kernel", ColumnKind::kWord},
}};

std::vector<std::string> split(std::string_view text, std::string_view separator) {
  std::vector<std::string> out;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find(separator, start), text.size());
    out.emplace_back(text.substr(start, end - start));
    start = end + separator.size();
  }
  return out;
}

// "a|b" and "a-or-b".
std::vector<std::string> alternatives(std::string_view text) {
  std::vector<std::string> out;
  for (const std::string& part : split(text, "|")) {
    for (std::string& one : split(part, "-or-")) {
      out.push_back(std::move(one));
    }
  }
  return out;
}

class SettingsReader {
 public:
  SettingsReader(const CsvTable& table, std::size_t row) : table_(table), row_(row) {}

  StatedSettings read() {
    for (const RunColumn& column : kColumns) {
      read_column(column);
    }
    for (const std::string& name : table_.columns()) {
      if (name.find('.') != std::string::npos && !text(name).empty()) {
        if (name.front() == '.' || name.back() == '.' || name.find("..") != std::string::npos) {
          table_.fail(row_, name, "a column with dots is the path of a key, and this one names none",
                      "names with a dot between them, as layout.tp");
        }
        const Json value = Json::parse(text(name), nullptr, false);
        put(name, name, value.is_discarded() ? Json(text(name)) : value);
      }
    }
    for (const SpecialColumn& column : special_columns()) {
      if (!text(column.name).empty()) {
        column.read(table_, row_, out_);
      }
    }
    return std::move(out_);
  }

 private:
  const std::string& text(std::string_view column) const { return table_.text(row_, column); }

  void put(std::string_view column, std::string_view path, Json value) {
    out_.settings.push_back({std::string(column), std::string(path), {std::move(value)}});
  }

  void read_column(const RunColumn& column) {
    const std::string& field = text(column.name);
    if (field.empty()) {
      return;
    }
    RunSetting setting{std::string(column.name), std::string(column.path), {}};
    std::vector<std::string> unknown;
    for (const std::string& one : alternatives(field)) {
      if (auto value = parsed(column, one)) {
        setting.values.push_back(*std::move(value));
      } else {
        unknown.push_back(one);
      }
    }
    for (const std::string& word : unknown) {
      out_.assumed.push_back(fmt::format("{} {} is not modelled: {} is assumed", column.name, word,
                                         setting.values.empty() ? "the profile's default" : "what else is named"));
    }
    if (!setting.values.empty()) {
      out_.settings.push_back(std::move(setting));
    }
  }

  // Nothing: a word that the scenario has no meaning for.
  std::optional<Json> parsed(const RunColumn& column, const std::string& field) const {
    switch (column.kind) {
      case ColumnKind::kCount:
        return Json(count(column.name, field));
      case ColumnKind::kNumber:
        return Json(*table_.number(row_, column.name));
      case ColumnKind::kFlag:
        return Json(flag(column.name, field));
      case ColumnKind::kCounts: {
        Json out = Json::array();
        std::string blanks = field;
        std::replace_if(
            blanks.begin(), blanks.end(), [](char c) { return c == '[' || c == ']' || c == ',' || c == ';'; }, ' ');
        for (const std::string& one : split(blanks, " ")) {
          if (!one.empty()) {
            out.push_back(count(column.name, one));
          }
        }
        return out;
      }
      case ColumnKind::kWords: {
        Json out = Json::array();
        for (const std::string& one : split(field, ",")) {
          if (const auto word = scenario_word(column.name, one); word && !word->empty()) {
            out.push_back(*word);
          } else if (!word) {
            return std::nullopt;
          }
        }
        return out;
      }
      case ColumnKind::kWord:
        break;
    }
    const auto word = scenario_word(column.name, field);
    return word ? std::optional<Json>(*word) : std::nullopt;
  }

  std::int64_t count(std::string_view column, const std::string& field) const {
    double value = 0.0;
    const auto [end, status] = std::from_chars(field.data(), field.data() + field.size(), value);
    constexpr double kMost = 9e15;
    const bool is_whole = status == std::errc{} && end == field.data() + field.size() && value >= 0.0 && value < kMost;
    if (!is_whole || static_cast<double>(static_cast<std::int64_t>(value)) != value) {
      table_.fail(row_, column, "not a whole number", "a whole number, or nothing where it is not known");
    }
    return static_cast<std::int64_t>(value);
  }

  bool flag(std::string_view column, const std::string& field) const {
    if (const auto value = flag_named(field)) {
      return *value;
    }
    table_.fail(row_, column, "neither yes nor no", std::string(kFlagNames));
  }

  const CsvTable& table_;
  std::size_t row_;
  StatedSettings out_;
};

// What is left of a name that was written in another case, or with other marks between its words.
std::string letters_of(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      out += c;
    } else if (c >= 'A' && c <= 'Z') {
      out += static_cast<char>(c - 'A' + 'a');
    }
  }
  return out;
}

// Columns that are read elsewhere, or that tell where a row is from.
constexpr std::array<std::string_view, 49> kOtherColumns = {
    "id",
    "source_title",
    "source_repo",
    "source_path",
    "framework",
    "gpu",
    "gpus_per_node",
    "num_gpus",
    "interconnect",
    "cluster",
    "framework_profile",
    "model",
    "arch",
    "layers",
    "hidden",
    "heads",
    "kv_heads",
    "head_dim",
    "ffn",
    "gated_mlp",
    "vocab",
    "tied_embeddings",
    "experts",
    "topk",
    "moe_ffn",
    "shared_ffn",
    "first_dense",
    "moe_period",
    "qk_norm",
    "q_lora_rank",
    "kv_lora_rank",
    "qk_nope_head_dim",
    "qk_rope_head_dim",
    "v_head_dim",
    "predicted_tokens",
    "grad_accum",
    "lora_rank",
    "lora_modules",
    "measured_step_s",
    "tokens_per_s_per_gpu",
    "samples_per_s",
    "tflops_per_gpu",
    "mfu_percent",
    "memory_gb",
    "oom",
    "complete",
    "notes",
    "steps",
    "date",
};

// Keys of a scenario that say how it is answered.
constexpr std::array<std::string_view, 5> kOfPredictions = {"network", "fold", "seed", "variation", "like"};

}  // namespace

StatedSettings read_settings(const CsvTable& table, std::size_t row) {
  return SettingsReader(table, row).read();
}

std::vector<std::string> doubtful_columns(const CsvTable& table) {
  std::vector<std::string> known(kOtherColumns.begin(), kOtherColumns.end());
  for (const RunColumn& column : kColumns) {
    known.emplace_back(column.name);
  }
  for (const SpecialColumn& column : special_columns()) {
    known.emplace_back(column.name);
  }
  std::vector<std::string> out;
  for (const std::string& name : table.columns()) {
    if (std::find(known.begin(), known.end(), name) != known.end() || name.find('.') != std::string::npos) {
      continue;
    }
    if (std::find(kOfPredictions.begin(), kOfPredictions.end(), name) != kOfPredictions.end()) {
      out.push_back(fmt::format("the column {} is not read: it says how to predict, not what ran", name));
      continue;
    }
    const auto same = std::find_if(known.begin(), known.end(),
                                   [&](const std::string& one) { return letters_of(one) == letters_of(name); });
    if (same != known.end()) {
      out.push_back(fmt::format("the column {} is not read; {} {}", name, *same,
                                table.has_column(*same) ? "beside it is" : "would be"));
    } else if (const auto nearest = nearest_name(name, known); nearest && !table.has_column(*nearest)) {
      out.push_back(fmt::format("the column {} is not read; {} would be", name, *nearest));
    }
  }
  return out;
}

void refuse_set_twice(const CsvTable& table, std::size_t row, const std::vector<RunSetting>& settings) {
  const auto is_in = [](std::string_view inner, std::string_view outer) {
    return inner.starts_with(outer) && (inner.size() == outer.size() || inner[outer.size()] == '.');
  };
  for (auto later = settings.begin(); later != settings.end(); ++later) {
    for (auto earlier = settings.begin(); earlier != later; ++earlier) {
      if (is_in(later->path, earlier->path) || is_in(earlier->path, later->path)) {
        const std::string& shorter = later->path.size() < earlier->path.size() ? later->path : earlier->path;
        table.fail(row, later->column,
                   fmt::format("the columns {} and {} both set {}", earlier->column, later->column, shorter),
                   "every key once; leave one of the two fields empty");
      }
    }
  }
}

bool set_path(Json& document, std::string_view path, Json value) {
  Json* target = &document;
  while (!path.empty()) {
    if (!target->is_object() && !target->is_null()) {
      return false;
    }
    const std::size_t dot = std::min(path.find('.'), path.size());
    target = &(*target)[std::string(path.substr(0, dot))];
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  *target = std::move(value);
  return true;
}

}  // namespace trainyard
