#include "validation/run_row.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>

#include "kernels/gpu.hpp"
#include "sim/base/files.hpp"
#include "sim/scenario/framework.hpp"
#include "topologies/cluster.hpp"
#include "validation/table_rules.hpp"

namespace trainyard {
namespace {

constexpr std::array<std::string_view, 5> kArchitectures = {"gpt", "llama", "mixtral", "bert", "mpt"};

// The cluster of a row that names none: the first of the catalogue with that GPU, systems of the GPU's vendor first.
std::optional<std::string> default_cluster(const std::string& gpu) {
  std::optional<std::string> found;
  for (const std::string& name : cluster_names()) {
    if (load_cluster(name).gpu == gpu && (!found || (name.starts_with("dgx-") && !found->starts_with("dgx-")))) {
      found = name;
    }
  }
  return found;
}

class RowReader {
 public:
  RowReader(const CsvTable& table, std::size_t row) : table_(table), row_(row) {}

  RunRow read() {
    out_.id = text("id");
    out_.framework = text("framework_profile");
    out_.gpu = text("gpu");
    out_.step = table_.number(row_, "measured_step_s");
    out_.memory_gb = table_.number(row_, "memory_gb");
    out_.out_of_memory = text("oom") == "1";
    out_.apart = out_.out_of_memory ? "" : reason_apart(table_, row_);
    out_.group = fmt::format("{}|{}|{}|{}|{}|{}|{}", text("model"), text("layers"), text("hidden"), text("num_gpus"),
                             text("global_batch"), text("seq_len"), text("gpu"));
    if (std::find(kArchitectures.begin(), kArchitectures.end(), text("arch")) == kArchitectures.end()) {
      skip(fmt::format("architecture {} is not simulated", text("arch").empty() ? "not stated" : text("arch")));
    }
    if (!out_.step && !out_.out_of_memory) {
      skip("no measured step time");
    }
    require({"layers", "hidden", "heads", "vocab", "seq_len", "num_gpus", "tp", "pp", "micro_batch", "global_batch"});
    choose_framework_and_cluster();
    if (out_.skipped.empty()) {
      fill();
    }
    return std::move(out_);
  }

 private:
  const std::string& text(std::string_view column) const { return table_.text(row_, column); }
  std::optional<std::int64_t> integer(std::string_view column) const { return table_.integer(row_, column); }

  void skip(std::string reason) {
    if (out_.skipped.empty()) {
      out_.skipped = std::move(reason);
    }
  }
  void require(std::initializer_list<std::string_view> columns) {
    for (const std::string_view column : columns) {
      if (!integer(column)) {
        skip(fmt::format("{} is not stated", column));
      }
    }
  }

  void choose_framework_and_cluster() {
    const std::vector<std::string> known = framework_names();
    if (out_.framework.empty()) {
      out_.framework = "megatron-core";
      out_.assumed = true;
    } else if (std::find(known.begin(), known.end(), out_.framework) == known.end()) {
      skip(fmt::format("no framework profile {}", out_.framework));
    }
    cluster_ = text("cluster");
    if (cluster_.empty()) {
      if (const auto found = default_cluster(out_.gpu)) {
        cluster_ = *found;
        out_.assumed = true;
      } else {
        skip(fmt::format("no cluster with {}", out_.gpu));
      }
    }
    const std::vector<std::string> clusters = cluster_names();
    if (!cluster_.empty() && std::find(clusters.begin(), clusters.end(), cluster_) == clusters.end()) {
      skip(fmt::format("no cluster {}", cluster_));
    }
  }

  Json model() const {
    const bool mixture = integer("experts").value_or(0) > 1;
    const std::string family = mixture ? "llama" : text("arch");
    const bool llama = family == "llama";
    Json model = {{"name", text("model")},         {"family", family},           {"layers", *integer("layers")},
                  {"hidden", *integer("hidden")},  {"heads", *integer("heads")}, {"vocab", *integer("vocab")},
                  {"seq_len", *integer("seq_len")}};
    for (const std::string_view key : {"kv_heads", "head_dim", "ffn"}) {
      if (const auto value = integer(key)) {
        model[std::string(key)] = *value;
      }
    }
    if (!text("tied_embeddings").empty()) {
      model["tied_embeddings"] = text("tied_embeddings") == "1";
    }
    if (!text("gated_mlp").empty() && (text("gated_mlp") == "1") != llama) {
      model["activation"] = text("gated_mlp") == "1" ? "swiglu" : "gelu";
    }
    // Fine-tuning of adapters on a frozen base is stated in the notes; rank and place are NeMo's defaults, the source
    // of all such rows (examples/nlp/language_modeling/tuning/conf, peft.lora_tuning: adapter_dim, target_modules).
    if (text("notes").find("LoRA: frozen base weights") != std::string::npos) {
      constexpr std::int64_t kRank = 32;
      model["adapters"] = {{"rank", kRank}, {"modules", {"qkv"}}};
    }
    if (mixture) {
      // Where the width of an expert is not stated the MLP's is meant (Mixtral's config.json has one width).
      model["experts"] = {{"count", *integer("experts")},
                          {"per_token", *integer("topk")},
                          {"ffn", integer("moe_ffn").value_or(integer("ffn").value_or(0))}};
    }
    return model;
  }

  // Copies a column when it is stated; otherwise the profile's default holds and the row counts as assumed.
  void put_or_assume(Json& section, std::string_view key, const Json& value) {
    if (text(key).empty()) {
      out_.assumed = true;
    } else {
      section[std::string(key)] = value;
    }
  }

  // A precision that is not one of the scenario's words ("fp16-or-bf16") is as good as not stated.
  void put_precision(Json& training) {
    if (kPrecisionNames.find(text("precision"))) {
      training["precision"] = text("precision");
    } else {
      out_.assumed = true;
    }
  }

  void fill() {
    Json layout = Json::object();
    for (const std::string_view key : {"tp", "pp", "vpp", "cp", "ep", "dp"}) {
      if (const auto value = integer(key)) {
        layout[std::string(key)] = *value;
      }
    }
    put_or_assume(layout, "sequence_parallel", text("sequence_parallel") == "1");
    // A row states what its software overlaps in its notes, in the words of the recipe.
    for (const auto& [stated, overlaps] : {std::pair{"tp_comm_overlap=True", true}, {"tp_comm_overlap=False", false}}) {
      if (text("notes").find(stated) != std::string::npos) {
        layout["tp_overlap"] = overlaps;
      }
    }
    Json training = {{"seq_len", *integer("seq_len")},
                     {"micro_batch", *integer("micro_batch")},
                     {"global_batch", *integer("global_batch")}};
    put_precision(training);
    put_or_assume(training, "recompute", text("recompute"));
    if (text("zero_stage").empty()) {
      out_.assumed = true;
    } else {
      training["zero_stage"] = *integer("zero_stage");
    }
    if (!text("schedule").empty()) {
      training["schedule"] = text("schedule");
    }
    if (integer("experts").value_or(0) > 1 && text("arch") != "mixtral") {
      skip(fmt::format("what the {} architecture has beside its experts is not stated", text("arch")));
      return;
    }
    out_.scenario = {{"model", model()},
                     {"cluster", cluster_},
                     {"gpus", *integer("num_gpus")},
                     {"layout", std::move(layout)},
                     {"training", std::move(training)},
                     {"framework", out_.framework}};
    apply_table_rules(table_, row_, out_.scenario);
    // A row may name a GPU with another memory size than the cluster's usual one.
    const std::vector<std::string> gpus = gpu_names();
    const std::string usual = load_cluster(cluster_).gpu;
    if (!usual.starts_with(out_.gpu) && std::find(gpus.begin(), gpus.end(), out_.gpu) != gpus.end()) {
      out_.scenario["gpu"] = out_.gpu;
    }
  }

  const CsvTable& table_;
  std::size_t row_;
  std::string cluster_;
  RunRow out_;
};

}  // namespace

RunRow read_run_row(const CsvTable& table, std::size_t row) {
  return RowReader(table, row).read();
}

}  // namespace trainyard
