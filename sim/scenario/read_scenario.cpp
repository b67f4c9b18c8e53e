#include "sim/scenario/read_scenario.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "models/load_model.hpp"
#include "sim/base/files.hpp"
#include "sim/scenario/cluster_choice.hpp"
#include "sim/scenario/device_map.hpp"
#include "sim/scenario/idle_keys.hpp"
#include "sim/scenario/mixed_gpus.hpp"
#include "sim/scenario/offload_checks.hpp"
#include "sim/scenario/operator_names.hpp"
#include "sim/scenario/pipeline_keys.hpp"
#include "sim/scenario/precision.hpp"
#include "sim/scenario/read_input.hpp"
#include "sim/scenario/read_variation.hpp"
#include "sim/scenario/resolved.hpp"
#include "sim/scenario/scenario_checks.hpp"
#include "sim/scenario/sequence_length.hpp"
#include "sim/scenario/update_strategy_checks.hpp"

namespace trainyard {
namespace {

constexpr std::int64_t kMostBatch = 1'000'000'000;

const Json& empty_object() {
  static const Json kEmpty = Json::object();
  return kEmpty;
}

JsonReader section(const JsonReader& root, std::string_view key) {
  if (auto found = root.find(key)) {
    return *std::move(found);
  }
  return JsonReader(empty_object(), root.file(), root.pointer() + "/" + std::string(key));
}

template <class Value, std::size_t N>
Value choice_or(const JsonReader& json, std::string_view key, const NameTable<Value, N>& table, Value otherwise) {
  const auto found = json.find(key);
  return found ? found->choice(table) : otherwise;
}

std::int64_t degree(const JsonReader& json, std::string_view key) {
  const auto found = json.find(key);
  return found ? found->integer(1, kMostGpus) : 1;
}

Parallelism read_layout(const JsonReader& json, const ModelSpec& model, const FrameworkProfile& framework) {
  json.expect_keys({"tp", "pp", "vpp", "cp", "cp_type", "cp_inner", "ep", "etp", "dp", "hsdp_shard",
                    "sequence_parallel", "tp_overlap", "ep_overlap", "order", "layers_per_stage", "device_map",
                    "embedding", "loss"});
  Parallelism layout;
  layout.tp = degree(json, "tp");
  layout.pp = degree(json, "pp");
  layout.vpp = degree(json, "vpp");
  layout.cp = degree(json, "cp");
  layout.context_parallel = choice_or(json, "cp_type", kContextParallelNames, ContextParallel::kRing);
  layout.context_inner = degree(json, "cp_inner");
  layout.ep = degree(json, "ep");
  layout.etp = json.has("etp") || !model.experts ? degree(json, "etp") : layout.tp;  // Megatron-LM's default
  layout.dp = json.has("dp") ? degree(json, "dp") : 0;
  layout.hsdp_shard = json.has("hsdp_shard") ? degree(json, "hsdp_shard") : 0;
  layout.sequence_parallel = framework.default_sequence_parallel;
  if (const auto found = json.find("sequence_parallel")) {
    layout.sequence_parallel = found->boolean() ? SequenceParallel::kOn : SequenceParallel::kOff;
  }
  layout.tp_overlap = framework.operators.chunked_tensor_collectives;
  if (const auto found = json.find("tp_overlap")) {
    layout.tp_overlap = found->boolean() ? TensorOverlap::kOn : TensorOverlap::kOff;
  }
  if (layout.tp == 1) {  // nothing to shard over, nothing to overlap
    layout.sequence_parallel = SequenceParallel::kOff;
    layout.tp_overlap = TensorOverlap::kOff;
  }
  if (const auto found = json.find("ep_overlap")) {
    layout.ep_overlap = found->boolean() ? ExpertOverlap::kOn : ExpertOverlap::kOff;
  }
  if (const auto found = json.find("order")) {
    layout.order = found->text();
  }
  read_stage_contents(json, layout);
  return layout;
}

// A list of modules, or their names in one text with commas between them.
std::vector<RecomputeModule> recompute_modules(const JsonReader& json) {
  std::vector<RecomputeModule> out;
  if (!json.value().is_string()) {
    for (const JsonReader& module : json.elements()) {
      out.push_back(module.choice(kRecomputeModuleNames));
    }
    return out;
  }
  const std::string text = json.text();
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t comma = std::min(text.find(',', start), text.size());
    const Json name = text.substr(start, comma - start);
    out.push_back(JsonReader(name, json.file(), json.pointer()).choice(kRecomputeModuleNames));
    start = comma + 1;
  }
  return out;
}

// Parameters are stored as activations are unless they are stated to be fp32, or as the narrow operands of GEMMs alone.
Precision read_param_dtype(const JsonReader& json, Precision precision) {
  const Bytes stored_bytes = storage_bytes_per_element(precision);
  const Precision stored = stored_bytes == bytes_per_element(Precision::kFp32) ? Precision::kFp32
                           : precision == Precision::kFp16                     ? Precision::kFp16
                                                                               : Precision::kBf16;
  std::vector<std::string> allowed = {std::string(kPrecisionNames.name_of(stored))};
  if (stored != Precision::kFp32) {
    allowed.emplace_back(kPrecisionNames.name_of(Precision::kFp32));
  }
  if (bytes_per_element(precision) < stored_bytes) {
    allowed.emplace_back(kPrecisionNames.name_of(precision));
  }
  const Precision asked = choice_or(json, "param_dtype", kPrecisionNames, stored);
  const std::string name(kPrecisionNames.name_of(asked));
  if (std::find(allowed.begin(), allowed.end(), name) == allowed.end()) {
    json.at("param_dtype")
        .fail("parameters are not stored so with precision " + std::string(kPrecisionNames.name_of(precision)),
              join_names(allowed));
  }
  return asked;
}

void check_documents(const JsonReader& json, const Scenario& scenario) {
  const ModelSpec& model = scenario.model;
  if (model.network || model.vision || model.encoder_layers > 0) {
    json.fail("documents are packed into sequences of one stack of layers",
              "a model that reads tokens, without an encoder");
  }
  if (scenario.layout.cp > 1) {
    json.fail("ranks that share a sequence exchange keys of all of it", "1 to seq_len tokens, with cp 1");
  }
}

// Reads into the scenario's `training`, from its model, GPUs, framework and layout.
Training read_training(const JsonReader& json, const Scenario& scenario, std::vector<std::string>& notes) {
  const ModelSpec& model = scenario.model;
  const Parallelism& layout = scenario.layout;
  const FrameworkProfile& framework = scenario.framework;
  json.expect_keys({"seq_len",           "micro_batch",
                    "global_batch",      "precision",
                    "optimizer",         "recompute",
                    "recompute_method",  "recompute_layers",
                    "recompute_modules", "zero_stage",
                    "data_parallel",     "schedule",
                    "micro_batch_group", "p2p",
                    "grad_dtype",        "optimizer_dtype",
                    "master_dtype",      "weight_copies",
                    "experts",           "offload",
                    "distributed_debug", "param_dtype",
                    "attention",         "loss_kernel",
                    "image_layout",      "collective_algorithm",
                    "strategy",          "document_len"});
  Training training;
  const auto count = [&](std::string_view key, std::int64_t otherwise, std::int64_t most) {
    const auto found = json.find(key);
    return found ? found->integer(1, most) : otherwise;
  };
  training.seq_len = choose_seq_len(json, model, notes);
  if (const auto found = json.find("document_len")) {
    check_documents(*found, scenario);
    training.document_len = found->integer(1, training.seq_len);
    if (training.seq_len % training.document_len != 0) {
      found->fail("whole documents are packed into a sequence",
                  fmt::format("a divisor of {} tokens", training.seq_len));
    }
  }
  training.micro_batch = count("micro_batch", 1, kMostBatch);
  training.global_batch =
      count("global_batch", training.micro_batch * std::max<std::int64_t>(1, layout.dp), kMostBatch);
  training.precision = choose_precision(json, framework.default_precision, scenario.different_gpus(), notes);
  training.param_dtype = read_param_dtype(json, training.precision);
  training.grad_dtype = choice_or(json, "grad_dtype", kPrecisionNames,
                                  default_grad_dtype(framework.default_grad_dtype, training.precision));
  training.optimizer_dtype = choice_or(json, "optimizer_dtype", kPrecisionNames, Precision::kFp32);
  training.master_dtype = choice_or(json, "master_dtype", kPrecisionNames, Precision::kFp32);
  if (const auto found = json.find("weight_copies")) {
    training.weight_copies = found->integer(0, 2);
  }
  training.optimizer = choice_or(json, "optimizer", kOptimizerNames, Optimizer::kAdam);
  training.recompute =
      choice_or(json, "recompute", kRecomputeNames, model.network ? Recompute::kNone : framework.default_recompute);
  training.recompute_method = choice_or(json, "recompute_method", kRecomputeMethodNames, RecomputeMethod::kUniform);
  training.recompute_layers = count("recompute_layers", 1, model.layers);
  if (const auto found = json.find("recompute_modules")) {
    training.recompute_modules = recompute_modules(*found);
  }
  if (const auto found = json.find("strategy")) {
    training.strategy = read_update_strategy(*found, scenario.gpus, layout.tp * layout.pp * layout.cp);
  }
  const ChosenDataParallel chosen = choose_data_parallel(json, framework.data_parallel, framework.default_zero_stage);
  training.data_parallel = chosen.options;
  training.zero_stage = chosen.zero_stage;
  if (!json.has("data_parallel") && chosen.options.strategy != framework.data_parallel.strategy) {
    notes.push_back(fmt::format("data_parallel {} in the place of {}'s {}, which has no ZeRO stage {}",
                                kDataParallelNames.name_of(chosen.options.strategy), framework.name,
                                kDataParallelNames.name_of(framework.data_parallel.strategy), chosen.zero_stage));
  }
  if (bytes_per_element(training.param_dtype) < storage_bytes_per_element(training.precision) &&
      training.data_parallel_traits().narrow_parameters == NarrowParameters::kRefused) {
    json.at("param_dtype")
        .fail("only Megatron's data parallelism gathers parameters in formats this narrow", "fp32, bf16");
  }
  if (const auto found = json.find("offload")) {
    training.offload = read_offload(*found);
  }
  training.distributed_debug = choice_or(json, "distributed_debug", kDistributedDebugNames, DistributedDebug::kOff);
  if (training.distributed_debug == DistributedDebug::kDetail && framework.host.collective_check.value <= 0.0) {
    json.at("distributed_debug").fail("what the checks cost is not known for " + framework.name, "off");
  }
  if (const auto found = json.find("collective_algorithm")) {
    training.collective_algorithm = found->choice(kAlgorithmNames);
  }
  if (const auto found = json.find("experts")) {
    if (!model.experts) {
      found->fail("the model has no experts", "a mixture-of-experts model");
    }
    training.experts = read_expert_routing(*found, model.experts->count);
  }
  read_schedule(json, layout, training);
  return training;
}

ModelSpec model_of(const JsonReader& json) {
  return json.value().is_object() ? read_model(json, "inline") : load_model(json.text(), json.file(), json.pointer());
}

// "like" belongs to a cluster that is a path of a topology.
ClusterSpec cluster_of(const JsonReader& json) {
  const JsonReader cluster = json.at("cluster");
  const auto like = json.find("like");
  if (cluster.value().is_object()) {
    if (like) {
      like->fail("a cluster that is described in full takes nothing from another", "no \"like\"");
    }
    return read_cluster(cluster, "inline");
  }
  const auto gpu = json.find("gpu");
  return choose_cluster({.cluster = cluster.text(),
                         .like = like ? like->text() : "",
                         .gpu = like && gpu ? gpu->text() : "",
                         .file = cluster.file(),
                         .pointer = cluster.pointer()});
}

// What is asked, but for the layout and the recipe.
Scenario read_what(const JsonReader& json) {
  json.expect_keys({"model", "cluster", "like", "gpu", "gpus", "layout", "training", "framework", "network", "fold",
                    "seed", "variation", "input"});
  Scenario scenario;
  scenario.model = model_of(json.at("model"));
  scenario.cluster = cluster_of(json);
  scenario.gpus = json.at("gpus").integer(1, kMostGpus);
  settle_gpus(scenario, json.find("gpu"));
  scenario.gpu_notes = gpu_notes(scenario);
  const auto framework = json.find("framework");
  scenario.framework = framework ? load_framework(framework->text(), json.file(), framework->pointer())
                                 : load_framework("megatron-core", json.file(), "/framework");
  scenario.network = choice_or(json, "network", kNetworkNames, Network::kFlow);
  if (const auto found = json.find("fold")) {
    scenario.fold = found->boolean() ? Fold::kOn : Fold::kOff;
  }
  if (const auto found = json.find("seed")) {
    scenario.seed = static_cast<std::uint64_t>(found->integer(0, std::int64_t{1} << 53));
  }
  if (const auto found = json.find("variation")) {
    scenario.variation = read_variation(*found, scenario);
  }
  return scenario;
}

ImageLayout settled(ImageLayout layout, Precision precision) {
  if (layout != ImageLayout::kByPrecision) {
    return layout;
  }
  return bytes_per_element(precision) < bytes_per_element(Precision::kFp32) ? ImageLayout::kNhwc : ImageLayout::kNchw;
}

// The layout and the recipe of the document, not yet checked against one another.
void read_how(Scenario& scenario, const JsonReader& json) {
  scenario.layout = read_layout(section(json, "layout"), scenario.model, scenario.framework);
  read_device_map(section(json, "layout"), scenario.model, scenario.gpus, scenario.layout);
  if (scenario.layout.dp == 0) {
    const std::int64_t model_parallel = scenario.layout.tp * scenario.layout.pp * scenario.layout.cp;
    scenario.layout.dp = std::max<std::int64_t>(1, scenario.gpus / model_parallel);
  }
  if (scenario.model.network && scenario.model.network->has_tables() && !section(json, "layout").has("ep")) {
    scenario.layout.ep = scenario.layout.dp;
  }
  const JsonReader training = section(json, "training");
  scenario.notes = scenario.model.notes;
  scenario.notes.insert(scenario.notes.end(), scenario.gpu_notes.begin(), scenario.gpu_notes.end());
  scenario.training = read_training(training, scenario, scenario.notes);
  if (const auto found = training.find("p2p")) {
    scenario.framework.exchange = found->choice(kExchangeNames);
  }
  settle_copies(training, scenario);
  OperatorOptions& operators = scenario.framework.operators;
  operators.attention = choice_or(training, "attention", kAttentionNames, operators.attention);
  operators.cross_entropy = choice_or(training, "loss_kernel", kLossKernelNames, operators.cross_entropy);
  operators.images =
      settled(choice_or(training, "image_layout", kImageLayoutNames, operators.images), scenario.training.precision);
  scenario.input.reset();
  if (const auto found = json.find("input")) {
    scenario.input = read_input(*found, scenario);
    if (scenario.input->tensor <= Bytes{} && !found->has("tensor_bytes")) {
      scenario.notes.push_back(fmt::format("samples are not copied to the devices: {} describes no way from its hosts",
                                           scenario.cluster.name));
    }
  }
  if (!section(json, "layout").has("vpp")) {
    scenario.layout.vpp = default_chunks(scenario.training);
  }
}

void check(Scenario& scenario, const std::string& file) {
  check_layout(scenario, file);
  settle_sharding(scenario, file);
  check_training(scenario, file);
  check_pipeline(scenario, file);
  check_offload(scenario, file);
  check_update_strategy(scenario, file);
}

}  // namespace

Scenario read_scenario(const Json& document, const std::string& file) {
  Scenario scenario = read_job(document, file);
  check(scenario, file);
  describe(scenario, document, file);
  return scenario;
}

Scenario read_job(const Json& document, const std::string& file) {
  const JsonReader json(document, file);
  Scenario scenario = read_what(json);
  read_how(scenario, json);
  return scenario;
}

Scenario lay_out(Scenario job, const Json& document, const std::string& file) {
  read_how(job, JsonReader(document, file));
  check(job, file);
  return job;
}

void describe(Scenario& scenario, const Json& document, const std::string& file) {
  const JsonReader json(document, file);
  for (std::string& note : idle_keys(scenario, document)) {
    scenario.notes.push_back(std::move(note));
  }
  scenario.resolved = resolved_document(scenario, json.at("model").value(), json.at("cluster").value());
  if (const auto like = json.find("like")) {
    scenario.resolved["like"] = like->text();
  }
}

}  // namespace trainyard
