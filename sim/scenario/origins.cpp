#include "sim/scenario/origins.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "sim/base/json_text.hpp"
#include "sim/scenario/operator_names.hpp"
#include "sim/scenario/resolved.hpp"

namespace trainyard {
namespace {

// What a value follows from, for those who read it. A key that is not here is derived in words that say less.
struct Derivation {
  std::string_view pointer;
  std::string_view from;
};
constexpr auto kDerivations = std::to_array<Derivation>({
    {"/gpu", "the GPU of the nodes in use"},
    {"/layout/dp", "what tp, pp and cp leave of the GPUs"},
    {"/layout/hsdp_shard", "the strategy: all ranks with the same parameters, or those of a node"},
    {"/layout/ep", "dp: all replicas share out the tables of a network"},
    {"/layout/etp", "tp, as Megatron-LM has it"},
    {"/layout/vpp", "the chunks that the schedule has"},
    {"/layout/pp", "the devices of the device map"},
    {"/layout/order", "the device map: the devices of a replica are neighbours"},
    {"/training/p2p", "the device map: one host issues the work of all devices"},
    {"/layout/sequence_parallel", "tp 1: no rank shares a sequence"},
    {"/layout/tp_overlap", "tp 1: there is no collective to overlap"},
    {"/training/global_batch", "one micro-batch for each of dp replicas"},
    {"/training/seq_len", "the longest sequence that is taken unasked"},
    {"/training/precision", "the widest format of 16 bits that the GPU has, or fp32"},
    {"/training/grad_dtype", "the precision: both have 16 bits"},
    {"/training/schedule", "vpp: several chunks per stage are interleaved; or the device map: layer-split"},
    {"/training/zero_stage", "the stages of the data-parallel strategy"},
    {"/training/data_parallel/strategy", "the ZeRO stage"},
    {"/training/data_parallel/overlap_comm", "the ZeRO stage"},
    {"/training/data_parallel/reshard_after_forward", "the ZeRO stage"},
    {"/training/data_parallel/gradient_sync", "what trainers of the data-parallel strategy do"},
    {"/training/strategy/worker_gpus", "tp, pp and cp: a worker is a replica"},
    {"/training/strategy/dedicated_servers", "the servers beside workers: one apart where there are none"},
    {"/training/strategy/backup", "the number of workers: one, where there are two"},
    {"/training/strategy/switch_at", "half of the updates"},
    {"/input/sample_bytes",
     "the model: a JPEG of ImageNet, what is copied of features, or tokens of two or four bytes"},
    {"/input/tensor_bytes", "the model: elements of four bytes, or ids and labels of eight"},
    {"/input/decode", "the model: jpeg of images, none of features, tokens of sequences"},
    {"/input/cores", "the node's, where the cluster states them"},
    {"/input/workers", "the node's cores, shared out to its GPUs"},
    {"/input/prefetch", "two batches of each worker"},
    {"/input/storage/requests", "one of each worker"},
    {"/input/storage/bandwidth", "the kind of storage"},
    {"/input/storage/node_bandwidth", "the kind of storage"},
    {"/input/storage/latency", "the kind of storage"},
    {"/training/offload/optimizer", "offload.weights: what the host holds it updates"},
});
// Of these no source has an answer of its own, whatever its value.
constexpr auto kAlwaysDerived =
    std::to_array<std::string_view>({"/layout/dp", "/layout/hsdp_shard", "/training/global_batch"});

// Somebody who answers for keys that the user leaves out.
struct Source {
  Origin origin;
  std::string name;
  Json answers;
};

Source model_source(const Scenario& scenario) {
  Json training = {{"seq_len", scenario.model.seq_len}};
  if (scenario.model.network) {
    training["recompute"] = "none";
  }
  return {Origin::kCatalogue, fmt::format("model {}", scenario.model.name), Json{{"training", training}}};
}

Source cluster_source(const Scenario& scenario) {
  return {Origin::kCatalogue, fmt::format("cluster {}", scenario.cluster.name), Json{{"gpu", scenario.cluster.gpu}}};
}

// What the profile's file says; what it leaves out is nobody's but trainyard's.
Source profile_source(const Scenario& scenario) {
  // The scenario's own has been changed where the user says otherwise.
  FrameworkDocument source = framework_document(scenario.framework.name);
  const FrameworkProfile profile = read_framework(source);
  Json& file = source.document;
  DataParallelOptions options = profile.data_parallel;
  options.strategy = scenario.training.data_parallel.strategy;
  Json data_parallel = to_json(options);
  data_parallel["strategy"] = kDataParallelNames.name_of(profile.data_parallel.strategy);
  Json stated_options = Json::object();
  for (const auto& [key, value] : data_parallel.items()) {
    if (file["data_parallel"].contains(key)) {
      stated_options[key] = value;
    }
  }
  Json layout = {{"sequence_parallel", profile.default_sequence_parallel == SequenceParallel::kOn}};
  if (file["operators"].contains("chunked_tensor_collectives")) {
    layout["tp_overlap"] = profile.operators.chunked_tensor_collectives == TensorOverlap::kOn;
  }
  return {Origin::kProfile, fmt::format("profile {}", profile.name),
          Json{{"layout", std::move(layout)},
               {"training",
                {{"precision", kPrecisionNames.name_of(profile.default_precision)},
                 {"grad_dtype", kPrecisionNames.name_of(profile.default_grad_dtype)},
                 {"recompute", kRecomputeNames.name_of(profile.default_recompute)},
                 {"zero_stage", profile.default_zero_stage},
                 {"p2p", kExchangeNames.name_of(profile.exchange)},
                 {"attention", kAttentionNames.name_of(profile.operators.attention)},
                 {"image_layout", kImageLayoutNames.name_of(profile.operators.images)},
                 {"loss_kernel", kLossKernelNames.name_of(profile.operators.cross_entropy)},
                 {"data_parallel", std::move(stated_options)}}}}};
}

// The initial values of everything that a document may state, with the keys that go with what is stated.
Source default_source(const Scenario& scenario) {
  Scenario unasked = scenario;
  unasked.layout = Parallelism{};
  unasked.training = Training{};
  unasked.training.recompute = scenario.training.recompute;
  unasked.training.data_parallel.strategy = scenario.training.data_parallel.strategy;
  unasked.network = Scenario{}.network;
  unasked.fold = Scenario{}.fold;
  unasked.seed = Scenario{}.seed;
  unasked.variation = {.slow_node_probability = 1.0};
  if (const std::optional<UpdateStrategy>& strategy = scenario.training.strategy) {
    unasked.training.strategy = UpdateStrategy{.mode = strategy->mode};
    unasked.training.strategy->compression.compressor = strategy->compression.compressor;
  }
  Json answers = resolved_document(unasked, nullptr, nullptr);
  if (scenario.training.strategy) {
    for (const char* derived : {"worker_gpus", "backup", "switch_at"}) {
      answers["training"]["strategy"].erase(derived);
    }
    answers["training"]["strategy"]["compress"] = kCompressorNames.name_of(Compressor::kNone);
  }
  answers["training"]["offload"] = offload_json({});
  if (scenario.model.experts) {
    answers["training"]["experts"]["pad_to_capacity"] = ExpertRouting{}.padding == CapacityPadding::kOn;
  }
  answers["training"]["data_parallel"]["strategy"] = kDataParallelNames.name_of(DataParallelOptions{}.strategy);
  answers["input"] = {{"pinned", InputOptions{}.copies == InputCopies::kAhead},
                      {"storage", {{"kind", kStorageKindNames.name_of(StorageOptions{}.kind)}}}};
  answers["variation"]["slow_nodes"]["probability"] = VariationOptions{}.slow_node_probability;
  for (const std::string_view pointer : kAlwaysDerived) {
    Json& section = answers.at(Json::json_pointer(std::string(pointer.substr(0, pointer.rfind('/')))));
    section.erase(std::string(pointer.substr(pointer.rfind('/') + 1)));
  }
  if (scenario.model.experts) {
    answers["layout"].erase("etp");
  }
  return {Origin::kDefault, "", std::move(answers)};
}

const Json* value_at(const Json& document, const std::string& pointer) {
  const Json::json_pointer place(pointer);
  const bool has = document.contains(place) && !document.at(place).is_null();
  return has ? &document.at(place) : nullptr;
}

// What the document says of a key; an object that is written as one text ("data_parallel": "fsdp") says the member that
// has this text.
const Json* stated_value(const Json& document, const std::string& pointer, const Json& value) {
  if (const Json* const found = value_at(document, pointer)) {
    return found;
  }
  const std::string parent = pointer.substr(0, pointer.rfind('/'));
  const Json* const whole = parent.empty() ? nullptr : value_at(document, parent);
  return whole != nullptr && whole->is_string() && *whole == value ? whole : nullptr;
}

std::string derivation_of(const std::string& pointer) {
  const auto* row = std::find_if(kDerivations.begin(), kDerivations.end(),
                                 [&pointer](const Derivation& one) { return one.pointer == pointer; });
  return row == kDerivations.end() ? "the other values" : std::string(row->from);
}

class Origins {
 public:
  Origins(const Scenario& scenario, const Json& document)
      : document_(document),
        sources_(
            {model_source(scenario), cluster_source(scenario), profile_source(scenario), default_source(scenario)}) {}

  void add(const std::string& pointer, const Json& value) {
    if (value.is_object() && pointer != "/model" && pointer != "/cluster") {
      for (const auto& [key, member] : value.items()) {
        add(fmt::format("{}/{}", pointer, key), member);
      }
      return;
    }
    out_.push_back(origin_of(pointer, value));
  }
  std::vector<ValueOrigin> take() { return std::move(out_); }

 private:
  ValueOrigin origin_of(const std::string& pointer, const Json& value) const {
    if (const Json* const stated = stated_value(document_, pointer, value)) {
      if (*stated == value) {
        return {pointer, value, Origin::kStated, ""};
      }
      // A name may be spelled in more than one way; a number or a truth that is not used was overruled.
      const bool spelled = !stated->is_boolean() && !stated->is_number();
      return {pointer, value, spelled ? Origin::kStated : Origin::kDerived,
              spelled ? fmt::format("as {}", json_text(*stated))
                      : fmt::format("{} (stated: {})", derivation_of(pointer), json_text(*stated))};
    }
    for (const Source& source : sources_) {
      if (const Json* const answer = value_at(source.answers, pointer)) {
        if (*answer == value) {
          return {pointer, value, source.origin, source.name};
        }
        break;
      }
    }
    return {pointer, value, Origin::kDerived, derivation_of(pointer)};
  }

  const Json& document_;
  std::vector<Source> sources_;
  std::vector<ValueOrigin> out_;
};

}  // namespace

std::vector<ValueOrigin> origins_of(const Scenario& scenario, const Json& document) {
  Origins origins(scenario, document);
  for (const auto& [key, value] : scenario.resolved.items()) {
    origins.add(fmt::format("/{}", key), value);
  }
  return origins.take();
}

}  // namespace trainyard
