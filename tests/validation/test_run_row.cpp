#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "sim/scenario/scenario.hpp"
#include "validation/tables/run_columns.hpp"
#include "validation/tables/run_row.hpp"

namespace trainyard::test_run_row {
namespace {

namespace fs = std::filesystem;

using Fields = std::map<std::string, std::string>;

// A row that states everything, with other or more fields.
Fields fields(const Fields& changed = {}) {
  Fields out = {{"id", "a"},
                {"gpu", "h100-sxm"},
                {"num_gpus", "16"},
                {"cluster", "dgx-h100"},
                {"framework_profile", "megatron-core"},
                {"model", "tiny"},
                {"arch", "llama"},
                {"layers", "4"},
                {"hidden", "1024"},
                {"heads", "16"},
                {"ffn", "4096"},
                {"vocab", "32000"},
                {"seq_len", "1024"},
                {"tp", "2"},
                {"pp", "1"},
                {"dp", "8"},
                {"zero_stage", "1"},
                {"sequence_parallel", "1"},
                {"micro_batch", "1"},
                {"global_batch", "32"},
                {"precision", "bf16"},
                {"recompute", "none"},
                {"measured_step_s", "0.05"}};
  for (const auto& [key, value] : changed) {
    out[key] = value;
  }
  return out;
}

CsvTable table(const Fields& row, const std::string& name = "mine") {
  const fs::path folder = fs::temp_directory_path() / fmt::format("trainyard_row_{}", ::getpid());
  fs::create_directories(folder);
  std::string header;
  std::string line;
  for (const auto& [key, value] : row) {
    const char* separator = header.empty() ? "" : ",";
    header += separator + csv_field(key);
    line += separator + csv_field(value);
  }
  write_file(folder / (name + ".csv"), header + "\n" + line + "\n");
  CsvTable read = CsvTable::read(folder / (name + ".csv"));
  fs::remove_all(folder);
  return read;
}

RunRow row(const Fields& changed = {}, const std::string& name = "mine") {
  const CsvTable read = table(fields(changed), name);
  check_run_columns(read);
  return read_run_row(read, 0);
}

Scenario scenario(const Fields& changed) {
  const RunRow read = row(changed);
  CAPTURE(read.skipped);
  REQUIRE(read.scenarios.size() == 1);
  return read_scenario(read.scenarios.front(), "row");
}

std::optional<Fault> refusal(const Fields& changed) {
  try {
    row(changed);
  } catch (const UserError& error) {
    CHECK(error.code() == ExitCode::kBadInput);
    return error.fault();
  }
  return std::nullopt;
}

bool mentions(const std::vector<std::string>& sentences, const std::string& words) {
  return std::any_of(sentences.begin(), sentences.end(),
                     [&](const std::string& one) { return one.find(words) != std::string::npos; });
}

}  // namespace

TEST_CASE("a row that states everything assumes nothing, whatever its table is called and whatever was measured") {
  const RunRow plain = row();
  CHECK(plain.assumed.empty());
  CHECK(plain.open.empty());
  CHECK(plain.skipped.empty());
  for (const std::string name : {"runs_nanotron", "runs_mosaicml_examples", "runs_dgxc_benchmarking"}) {
    for (const std::string step : {"0.05", "500"}) {
      const RunRow other = row(
          {{"measured_step_s", step}, {"mfu_percent", "1"}, {"notes", "tp_comm_overlap=True"}, {"framework", "NeMo"}},
          name);
      CHECK(other.scenarios == plain.scenarios);
    }
  }
}

TEST_CASE("every key of a scenario may be a column") {
  const Scenario layout = scenario({{"tp_overlap", "true"},
                                    {"tp", "2"},
                                    {"cp", "2"},
                                    {"cp_type", "a2a"},
                                    {"dp", "2"},
                                    {"pp", "2"},
                                    {"vpp", "1"},
                                    {"layers_per_stage", "[1,3]"},
                                    {"micro_batch", "2"},
                                    {"p2p", "overlapped"}});
  CHECK(layout.layout.tp_overlap == TensorOverlap::kOn);
  CHECK(layout.layout.context_parallel == ContextParallel::kUlysses);
  CHECK(layout.layout.layers_per_stage == std::vector<std::int64_t>{1, 3});
  CHECK(layout.framework.exchange == PipelineExchange::kOverlapped);
  const Scenario ends =
      scenario({{"pp", "2"}, {"dp", "4"}, {"embedding", "layer"}, {"loss", "as-layer"}, {"layers", "6"}});
  CHECK(ends.layout.embedding == EndPlacement::kAsLayer);
  CHECK(ends.layout.loss == EndPlacement::kAsLayer);
  const Scenario recipe = scenario({{"optimizer", "adamw"},
                                    {"param_dtype", "fp32"},
                                    {"grad_dtype", "bf16"},
                                    {"master_dtype", "fp32"},
                                    {"recompute", "selective"},
                                    {"recompute_modules", "layernorm,core_attn"},
                                    {"attention", "unfused"},
                                    {"loss_kernel", "fused"},
                                    {"training.optimizer_dtype", "bf16"}});
  CHECK(recipe.training.optimizer == Optimizer::kAdam);
  CHECK(recipe.training.param_dtype == Precision::kFp32);
  CHECK(recipe.training.grad_dtype == Precision::kBf16);
  CHECK(recipe.training.optimizer_dtype == Precision::kBf16);
  CHECK(recipe.training.recompute_modules ==
        std::vector<RecomputeModule>{RecomputeModule::kNorm, RecomputeModule::kCoreAttention});
  CHECK(recipe.framework.operators.attention == AttentionKernel::kUnfused);
  CHECK(recipe.framework.operators.cross_entropy == Fusion::kOn);
  const Scenario sharded = scenario({{"framework_profile", "torchtitan"},
                                     {"zero_stage", "3"},
                                     {"fsdp", "fsdp2"},
                                     {"tp", "1"},
                                     {"dp", "16"},
                                     {"offload", "activations=0.5"}});
  CHECK(sharded.training.data_parallel.strategy == DataParallelName::kFsdp);
  CHECK(sharded.training.offload.activations == 0.5);
}

TEST_CASE("architectures with experts, latent attention and normalised queries are read from columns") {
  const Fields moe = {{"arch", "moe"},    {"experts", "8"},         {"topk", "2"},
                      {"moe_ffn", "512"}, {"shared_ffn", "256"},    {"ep", "4"},
                      {"etp", "1"},       {"dispatcher", "deepep"}, {"qk_norm", "1"}};
  const Scenario mixture = scenario(moe);
  REQUIRE(mixture.model.experts.has_value());
  CHECK(mixture.model.experts->shared_ffn == 256);
  CHECK(mixture.model.query_key_norm == Presence::kPresent);
  CHECK(mixture.layout.etp == 1);
  CHECK(mixture.training.experts.dispatcher == TokenDispatcher::kDeepEp);
  Fields latent = moe;
  latent.merge(Fields{{"kv_lora_rank", "64"},
                      {"qk_nope_head_dim", "32"},
                      {"qk_rope_head_dim", "16"},
                      {"v_head_dim", "32"},
                      {"first_dense", "1"}});
  latent["arch"] = "deepseek";
  const Scenario deepseek = scenario(latent);
  REQUIRE(deepseek.model.latent.has_value());
  CHECK(deepseek.model.latent->key_value_rank == 64);
  CHECK(deepseek.model.experts->first_dense == 1);
  latent["v_head_dim"] = "";
  CHECK(row(latent).skipped == "v_head_dim is not stated, which latent attention needs");
  CHECK(row({{"arch", "moe"}}).skipped == "experts is not stated");
}

TEST_CASE("a model may be named instead of described") {
  const Fields bare = {{"arch", ""}, {"layers", ""}, {"hidden", ""}, {"heads", ""}, {"ffn", ""}, {"vocab", ""}};
  Fields named = bare;
  named["model"] = "Llama-3-8B";
  CHECK(scenario(named).model.layers == 32);
  named["layers"] = "12";  // a model cut short, as benchmarks do
  CHECK(scenario(named).model.layers == 12);
  CHECK(scenario(named).model.hidden == 4096);
  named = bare;
  named["model"] = (home_folder() / "models/catalogue/llama-3-8b.json").string();
  CHECK(scenario(named).model.layers == 32);
  named["model"] = "llama-3-9b";
  CHECK(row(named).skipped == "no model llama-3-9b (did you mean llama-3-8b), and the architecture is not stated");
  for (const char* path : {"/tmp", "/dev/null"}) {
    named["model"] = path;
    CHECK(row(named).skipped.find(fmt::format("no model {}", path)) == 0);
  }
  named["model"] = "";
  CHECK(row(named).skipped == "neither model nor arch is stated");
}

TEST_CASE("parts that are stated beside a model by name take the place of its own") {
  Fields named = {{"arch", ""}, {"layers", ""}, {"hidden", ""},         {"heads", ""},
                  {"ffn", ""},  {"vocab", ""},  {"model", "llama-3-8b"}};
  CHECK(scenario(named).model.gated());
  named["gated_mlp"] = "1";
  CHECK_FALSE(row(named).scenarios.front()["model"].contains("activation"));
  named["gated_mlp"] = "0";
  CHECK_FALSE(scenario(named).model.gated());
  named["gated_mlp"] = "banana";
  CHECK(refusal(named)->pointer == "line 2, column gated_mlp");
  named["gated_mlp"] = "";
  named["model"] = "mixtral-8x7b";
  named["topk"] = "4";
  CHECK(scenario(named).model.experts->per_token == 4);
  CHECK(scenario(named).model.experts->count == 8);
  named["topk"] = "";
  named["experts"] = "1";
  CHECK_FALSE(scenario(named).model.experts.has_value());
  named = {{"arch", ""}, {"hidden", ""}, {"heads", ""}, {"ffn", ""}, {"vocab", ""}};
  named["model"] = (home_folder() / "models/catalogue/llama-3-8b.json").string();
  CHECK(mentions(row(named).assumed, "layers is not read beside a model's file"));
  CHECK(mentions(row({{"kv_lora_rank", "64"}}).assumed, "arch llama has no latent attention"));
}

TEST_CASE("a path through a value, and two columns for one key, are refused with line and column") {
  for (const char* path :
       {"cluster.gpu", "framework.x", "gpus.x", "layout.dp.x", "training.recompute.x", "layout.layers_per_stage.x",
        "model.layers", "model.experts", "training.precision", "layout.", ".tp", "layout..tp"}) {
    CAPTURE(path);
    Fields changed = {
        {path, "1"},  {"layers_per_stage", "[2,2]"}, {"pp", "2"}, {"dp", "4"}, {"arch", "moe"}, {"experts", "4"},
        {"topk", "2"}};
    const auto fault = refusal(changed);
    REQUIRE(fault.has_value());
    CHECK(fault->pointer == fmt::format("line 2, column {}", path));
  }
  CHECK(refusal({{"layout.tp", "2"}})->problem == "the columns tp and layout.tp both set layout.tp");
  CHECK(refusal({{"offload", "optimizer"}, {"training.offload.optimizer", "0.5"}}).has_value());
  // A field may stand in one column or the other.
  CHECK(row({{"precision", ""}, {"training.precision", "bf16"}}).skipped.empty());
}

TEST_CASE("columns that follow from others and say something else are noted") {
  CHECK(mentions(row({{"gpus_per_node", "4"}}).assumed, "gpus_per_node 4 is not what dgx-h100 has: 8 are assumed"));
  CHECK(row({{"gpus_per_node", "8"}}).assumed.empty());
  // Four of a node's eight.
  CHECK(row({{"gpus_per_node", "4"}, {"num_gpus", "4"}, {"dp", "2"}}).assumed.empty());
  CHECK(mentions(row({{"grad_accum", "7"}}).assumed, "grad_accum 7 is not what the batches give: 4 is assumed"));
  CHECK(row({{"grad_accum", "4"}}).assumed.empty());
}

TEST_CASE("what has no model is said in words and counts as assumed") {
  CHECK(mentions(row({{"cuda_graph", "full_iteration"}}).assumed, "cuda_graph full_iteration is not modelled"));
  CHECK(row({{"cuda_graph", "none"}}).assumed.empty());
  CHECK(mentions(row({{"compile", "1"}}).assumed, "compile 1 is not modelled"));
  CHECK(mentions(row({{"loss_kernel", "chunked"}}).assumed, "loss_kernel chunked is not modelled"));
  CHECK(mentions(row({{"optimizer", "adamw8bit"}}).assumed, "optimizer adamw8bit is not modelled"));
  CHECK(mentions(row({{"precision", "nf4+bf16"}}).assumed, "precision nf4+bf16 is not modelled"));
  CHECK(mentions(row({{"peft", "lora"}}).assumed, "32 on qkv"));
  CHECK(row({{"peft", "lora"}, {"lora_rank", "16"}, {"lora_modules", "qkv,mlp_up"}}).assumed.empty());
  CHECK(mentions(row({{"gpu", "no-such-gpu"}}).assumed,
                 "no-such-gpu is not in the catalogue: h100-sxm of dgx-h100 is assumed"));
  CHECK(mentions(row({{"recompute", ""}}).assumed, "recompute is not stated"));
}

TEST_CASE("a setting that the source leaves open is read in every way, the profile's default first") {
  const Fields nanotron = {{"framework_profile", "nanotron"}, {"distributed_debug", "detail|off"}};
  const RunRow debug = row(nanotron);
  REQUIRE(debug.scenarios.size() == 2);
  CHECK(debug.scenarios[0]["training"]["distributed_debug"] == "off");
  CHECK(debug.scenarios[1]["training"]["distributed_debug"] == "detail");
  CHECK(mentions(debug.open, "distributed_debug: detail or off"));
  // Of megatron-deepspeed's two 16-bit formats fp16 is the default.
  const RunRow half =
      row({{"framework_profile", "megatron-deepspeed"}, {"zero_stage", "0"}, {"precision", "bf16-or-fp16"}});
  REQUIRE(half.scenarios.size() == 2);
  CHECK(half.scenarios[0]["training"]["precision"] == "fp16");
  // The default is none of these: the source's order holds.
  CHECK(row({{"precision", "tf32-or-fp32"}}).scenarios.front()["training"]["precision"] == "tf32");
  CHECK(row({{"precision", "fp16|bf16"}, {"sequence_parallel", "0|1"}}).scenarios.size() == 4);
}

TEST_CASE("fields that are not of their column's kind are refused") {
  for (const char* column : {"gated_mlp", "tied_embeddings", "sequence_parallel", "oom", "qk_norm", "ep_overlap"}) {
    const auto fault = refusal({{column, "banana"}});
    CAPTURE(column);
    REQUIRE(fault.has_value());
    CHECK(fault->pointer == fmt::format("line 2, column {}", column));
    CHECK(fault->found == "banana");
    for (const char* word : {"1", "true", "TRUE", "0", "no"}) {
      CHECK_FALSE(refusal({{column, word}}).has_value());
    }
  }
  CHECK(row({{"gated_mlp", "true"}}).scenarios == row({{"gated_mlp", "1"}}).scenarios);
  CHECK(row({{"gated_mlp", "true"}}).scenarios != row({{"gated_mlp", "0"}}).scenarios);
  for (const char* step : {"0", "-1", "nan", "inf", "fast", "1e-320", "1e-10", "1e10"}) {
    CHECK(refusal({{"measured_step_s", step}})->pointer == "line 2, column measured_step_s");
  }
  // Also where the row cannot be simulated.
  CHECK(refusal({{"arch", "resnet"}, {"gated_mlp", "banana"}}).has_value());
  CHECK(refusal({{"arch", "resnet"}, {"layers", "many"}}).has_value());
  CHECK(refusal({{"tp", "-2"}}).has_value());
  CHECK(refusal({{"tp", "2.5"}}).has_value());
  CHECK(refusal({{"layers", "many"}}).has_value());
  CHECK(refusal({{"offload", "everything"}}).has_value());
}

TEST_CASE("tables without the columns that every row needs are refused, and near names are pointed out") {
  Fields without = fields();
  without.erase("micro_batch");
  without["micro_bach"] = "1";
  const CsvTable read = table(without);
  CHECK_THROWS_AS(check_run_columns(read), UserError);
  CHECK(mentions(doubtful_columns(read), "the column micro_bach is not read; micro_batch would be"));
  CHECK(mentions(doubtful_columns(table(fields({{"TP", "4"}}))), "the column TP is not read; tp beside it is"));
  CHECK(mentions(doubtful_columns(table(fields({{"Loss Kernel", "fused"}}))), "loss_kernel would be"));
  CHECK(doubtful_columns(table(fields({{"my_own_remarks_column", "x"}}))).empty());
}

TEST_CASE("a BERT that answers SQuAD classifies tokens, and any other predicts its masked ones") {
  Fields bert = {
      {"arch", "bert"},    {"framework_profile", "ddp"},          {"precision", "bf16"}, {"tp", "1"}, {"dp", "16"},
      {"zero_stage", "0"}, {"model", "BERT-base SQuAD fine-tune"}};
  CHECK(scenario(bert).model.token_classes == 2);
  bert["model"] = "BERT-base";
  CHECK(scenario(bert).model.token_classes == 0);
  bert["model.token_classes"] = "9";  // named entities, say
  CHECK(scenario(bert).model.token_classes == 9);
}

TEST_CASE("a row without a profile has that of its framework's name where there is one") {
  const RunRow named = row({{"framework_profile", ""}, {"framework", "OneFlow 0.2"}});
  CHECK(named.framework == "oneflow");
  CHECK_FALSE(mentions(named.assumed, "framework_profile"));
  const RunRow unknown = row({{"framework_profile", ""}, {"framework", "in-house"}});
  CHECK(unknown.framework == "megatron-core");
  CHECK(mentions(unknown.assumed, "framework_profile"));
}

TEST_CASE("the release that a row names chooses among the dated profiles of its framework") {
  const auto profile = [](const char* framework, const char* stated) {
    return row({{"framework", framework}, {"framework_profile", stated}}).framework;
  };
  CHECK(profile("NGC PyTorch 20.03", "ddp") == "ddp-2020");
  CHECK(profile("NGC MXNet 19.12", "mxnet-horovod") == "mxnet-horovod-2020");
  CHECK(profile("MXNet NVIDIA Release 22.04", "mxnet-horovod") == "mxnet-horovod");
  CHECK(profile("PyTorch 1.6", "ddp") == "ddp");  // a version, no release by year and month
}

TEST_CASE("images need no length, and networks are known by what tables call them") {
  for (const char* name : {"ResNet-50 v1.5", "ConvNets/resnet50v1.5", "RN50v1.5"}) {
    const RunRow image = row({{"model", name},
                              {"arch", "resnet50"},
                              {"seq_len", ""},
                              {"layers", ""},
                              {"hidden", ""},
                              {"heads", ""},
                              {"ffn", ""},
                              {"vocab", ""},
                              {"tp", "1"},
                              {"dp", "16"},
                              {"framework_profile", "ddp"},
                              {"precision", "fp16"}});
    CAPTURE(name);
    REQUIRE(image.scenarios.size() == 1);
    CHECK(image.scenarios.front().at("model") == "resnet-50");
  }
  CHECK_FALSE(row({{"model", "nnU-Net"}, {"arch", "other"}}).skipped.empty());
}

TEST_CASE("of formats left open those count that the GPU has units for") {
  const RunRow hopper = row({{"precision", "tf32-or-fp32"}});
  CHECK(hopper.scenarios.size() == 2);
  const RunRow volta = row({{"precision", "tf32-or-fp32"}, {"gpu", "v100-32"}, {"cluster", "dgx-1-v100"}});
  REQUIRE(volta.scenarios.size() == 1);
  CHECK(read_scenario(volta.scenarios.front(), "row").training.precision == Precision::kFp32);
  CHECK(volta.open.empty());
}

}  // namespace trainyard::test_run_row
