#include "validation/tables/run_column_words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "sim/scenario/operator_names.hpp"
#include "sim/scenario/scenario.hpp"

namespace trainyard {
namespace {

struct Alias {
  std::string_view column;
  std::string_view word;
  std::string_view scenario;  // empty: says that there is nothing
};
// Source: the arguments of Megatron-LM, Megatron-Bridge, NeMo, PyTorch and DeepSpeed for what the scenario has one
// word.
constexpr std::array<Alias, 27> kAliases = {{
    {"optimizer", "adamw", "adam"},
    {"optimizer", "fusedadam", "adam"},
    {"cp_type", "p2p", "ring"},
    {"cp_type", "a2a", "ulysses"},
    {"cp_type", "allgather", "all_gather"},
    {"cp_type", "a2a+p2p", "hierarchical"},
    {"dispatcher", "alltoall", "all_to_all"},
    {"dispatcher", "allgather", "all_gather"},
    {"dispatcher", "deepep", "deep_ep"},
    {"loss_kernel", "fused", "fused"},
    {"loss_kernel", "unfused", "unfused"},
    {"loss_kernel", "eager", "unfused"},
    {"recompute_modules", "core_attn", "core_attention"},
    {"recompute_modules", "layernorm", "norm"},
    {"recompute_modules", "moe_act", "activation"},
    {"recompute_modules", "expert_activation", "activation"},
    {"recompute_modules", "mla_up_proj", "latent_up"},
    {"recompute_modules", "moe", "experts"},
    {"recompute_modules", "none", ""},
    {"embedding", "standalone", "standalone"},
    {"embedding", "layer", "as-layer"},
    {"loss", "layer", "as-layer"},
    {"precision", "float32", "fp32"},
    {"precision", "bfloat16", "bf16"},
    {"precision", "float16", "fp16"},
    {"attention", "flash_attention", "flash"},
    {"attention", "core", "unfused"},
}};

// Columns whose words are known here; an unknown one is assumed, not refused, because sources name software that the
// simulator has no model of.
template <class Value, std::size_t N>
std::optional<bool> is_known(const NameTable<Value, N>& table, const std::string& word) {
  return table.find(word).has_value();
}

std::optional<bool> is_word_of(std::string_view column, const std::string& word) {
  if (column == "precision" || column.ends_with("_dtype")) {
    return is_known(kPrecisionNames, word);
  }
  if (column == "optimizer") {
    return is_known(kOptimizerNames, word);
  }
  if (column == "dispatcher") {
    return is_known(kTokenDispatcherNames, word);
  }
  if (column == "recompute_modules") {
    return is_known(kRecomputeModuleNames, word);
  }
  if (column == "attention") {
    return is_known(kAttentionNames, word);
  }
  if (column == "loss_kernel") {
    return is_known(kLossKernelNames, word);
  }
  return std::nullopt;
}

bool says_nothing(std::string_view word) {
  constexpr std::array<std::string_view, 5> kNothing = {"0", "none", "no", "off", "false"};
  return std::find(kNothing.begin(), kNothing.end(), word) != kNothing.end();
}

void put(StatedSettings& out, std::string_view column, std::string_view path, Json value) {
  out.settings.push_back({std::string(column), std::string(path), {std::move(value)}});
}

template <std::size_t N>
struct Name {
  char text[N]{};
  constexpr explicit(false) Name(const char (&name)[N]) { std::copy_n(name, N, text); }
};

// Software without a model: said in words when a row has it.
template <Name Column>
void read_unmodelled(const CsvTable& table, std::size_t row, StatedSettings& out) {
  if (const std::string& word = table.text(row, Column.text); !says_nothing(word)) {
    out.assumed.push_back(fmt::format("{} {} is not modelled", Column.text, word));
  }
}

void read_fsdp(const CsvTable& table, std::size_t row, StatedSettings& out) {
  const std::string& word = table.text(row, "fsdp");
  if (says_nothing(word)) {
    return;
  }
  constexpr std::array<std::string_view, 6> kOnes = {"1", "true", "yes", "fsdp", "fsdp1", "fsdp2"};
  const bool is_known = word == "hsdp" || std::find(kOnes.begin(), kOnes.end(), word) != kOnes.end();
  put(out, "fsdp", "training.data_parallel", word == "hsdp" ? "hsdp" : "fsdp");
  if (!is_known) {
    out.assumed.push_back(fmt::format("fsdp {} is not modelled: PyTorch's FSDP is assumed", word));
  }
}

// "optimizer", "optimizer,activations", "optimizer=0.5" or the scenario's own JSON.
void read_offload(const CsvTable& table, std::size_t row, StatedSettings& out) {
  const std::string& field = table.text(row, "offload");
  if (says_nothing(field)) {
    return;
  }
  if (Json value = Json::parse(field, nullptr, false); value.is_object()) {
    put(out, "offload", "training.offload", std::move(value));
    return;
  }
  Json offload = Json::object();
  for (std::size_t start = 0; start <= field.size();) {
    const std::size_t end = std::min(field.find(',', start), field.size());
    const std::string part = field.substr(start, end - start);
    const std::string name = part.substr(0, part.find('='));
    const Json share =
        part.size() == name.size() ? Json(1.0) : Json::parse(part.substr(name.size() + 1), nullptr, false);
    if ((name != "optimizer" && name != "activations" && name != "weights") || !share.is_number()) {
      table.fail(row, "offload", "not a thing that hosts hold",
                 "optimizer, activations, weights, each with =share; none");
    }
    offload[name] = share;
    start = end + 1;
  }
  put(out, "offload", "training.offload", std::move(offload));
}

// Adapters of low rank on a frozen base. Where they stand and how wide they are is NeMo's default unless stated:
// examples/nlp/language_modeling/tuning/conf, peft.lora_tuning (adapter_dim 32, target_modules attention_qkv).
void read_peft(const CsvTable& table, std::size_t row, StatedSettings& out) {
  const std::string& method = table.text(row, "peft");
  if (says_nothing(method)) {
    return;
  }
  if (method != "lora") {
    out.assumed.push_back(fmt::format("peft {} is not modelled: lora is assumed", method));
  }
  constexpr std::int64_t kUsualRank = 32;
  const auto rank = table.integer(row, "lora_rank");
  Json modules = Json::array();
  const std::string& stated = table.text(row, "lora_modules");
  for (std::size_t start = 0; start < stated.size();) {
    const std::size_t end = std::min(stated.find(',', start), stated.size());
    modules.push_back(stated.substr(start, end - start));
    start = end + 1;
  }
  if (!rank || modules.empty()) {
    out.assumed.push_back("lora_rank or lora_modules is not stated: 32 on qkv are assumed where they are not");
  }
  if (modules.empty()) {
    modules.push_back("qkv");
  }
  put(out, "peft", "model.adapters", {{"rank", rank.value_or(kUsualRank)}, {"modules", std::move(modules)}});
}

constexpr std::array<SpecialColumn, 5> kSpecial = {{{"fsdp", read_fsdp},
                                                    {"offload", read_offload},
                                                    {"peft", read_peft},
                                                    {"cuda_graph", read_unmodelled<"cuda_graph">},
                                                    {"compile", read_unmodelled<"compile">}}};

}  // namespace

std::optional<std::string> scenario_word(std::string_view column, const std::string& word) {
  const auto* alias = std::find_if(kAliases.begin(), kAliases.end(),
                                   [&](const Alias& one) { return one.column == column && one.word == word; });
  const std::string own = alias == kAliases.end() ? word : std::string(alias->scenario);
  if (own.empty() || is_word_of(column, own).value_or(true)) {
    return own;
  }
  return std::nullopt;
}

std::span<const SpecialColumn> special_columns() {
  return kSpecial;
}

}  // namespace trainyard
