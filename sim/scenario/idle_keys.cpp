#include "sim/scenario/idle_keys.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "sim/scenario/place.hpp"

namespace trainyard {
namespace {

struct IdleKey {
  const char* pointer;
  const char* neutral;  // JSON text of the value that asks for nothing; empty where every value asks for something
  std::string_view why;
  bool (*is_read)(const Scenario&);
};

bool draws(const Scenario& scenario) {
  const std::optional<UpdateStrategy>& strategy = scenario.training.strategy;
  const bool draws_updates =
      strategy && (strategy->jitter > 0.0 || strategy->mode == Synchronisation::kFederated ||
                   strategy->compression.compressor != Compressor::kNone || strategy->sharding == Sharding::kByHash);
  return draws_updates || scenario.variation.any() || scenario.training.experts.kind == RoutingKind::kZipf;
}

bool shares_out_states(const Scenario& scenario) {
  return scenario.training.zero_stage > 0;
}

bool has_tensor_parallelism(const Scenario& scenario) {
  return scenario.layout.tp > 1;
}

bool has_stages(const Scenario& scenario) {
  return scenario.layout.pp * scenario.layout.vpp > 1;
}

bool keeps_master(const Scenario& scenario) {
  return bytes_per_element(scenario.training.param_dtype) < bytes_per_element(Precision::kFp32);
}

bool has_narrow_gemms(const Scenario& scenario) {
  const Precision precision = scenario.training.precision;
  return bytes_per_element(precision) < storage_bytes_per_element(precision);
}

bool decodes(const Scenario& scenario) {
  return scenario.input && scenario.input->decode > Seconds{};
}

constexpr std::array<IdleKey, 20> kIdleKeys = {{
    {"/layout/cp_type", "\"ring\"", "cp is 1, so no sequence is cut",
     [](const Scenario& s) { return s.layout.cp > 1; }},
    {"/layout/cp_inner", "1", "only cp_type hierarchical has inner groups",
     [](const Scenario& s) { return s.layout.cp > 1 && s.layout.context_parallel == ContextParallel::kHierarchical; }},
    {"/layout/sequence_parallel", "false", "tp is 1, so no rank shares a sequence", has_tensor_parallelism},
    {"/layout/tp_overlap", "false", "tp is 1, so there is no collective to overlap", has_tensor_parallelism},
    {"/layout/embedding", "\"with-layers\"", "there is one stage of one chunk", has_stages},
    {"/layout/loss", "\"with-layers\"", "there is one stage of one chunk", has_stages},
    {"/training/p2p", "", "pp is 1, so no stage sends", [](const Scenario& s) { return s.layout.pp > 1; }},
    {"/training/master_dtype", "\"fp32\"", "parameters of fp32 have no master copy", keeps_master},
    {"/training/optimizer_dtype", "\"fp32\"", "the optimizer keeps nothing, or in a format of its own",
     [](const Scenario& s) { return optimizer_traits(s.training.optimizer).has_format(); }},
    {"/training/image_layout", "", "the model has no images of layers",
     [](const Scenario& s) { return s.model.network != nullptr; }},
    {"/training/weight_copies", "2", "the GEMMs read the stored weights", has_narrow_gemms},
    {"/training/data_parallel/parameter_gather", "\"after-update\"", "ZeRO stage 0 shares out no parameters to gather",
     shares_out_states},
    {"/training/data_parallel/shard_gradients", "\"reduce-scatter\"", "ZeRO stage 0 sums gradients whole",
     shares_out_states},
    {"/training/offload/prefetch", "true", "nothing is offloaded",
     [](const Scenario& s) { return s.training.offload.any(); }},
    {"/input/sample_bytes", "", "what the storage reads has no limit",
     [](const Scenario& s) { return s.input && (s.input->storage.node_bandwidth || s.input->storage.bandwidth); }},
    {"/input/cores", "", "nothing is decoded", decodes},
    {"/input/workers", "", "nothing is decoded, and no read waits for a first byte",
     [](const Scenario& s) { return decodes(s) || (s.input && s.input->storage.latency > Seconds{}); }},
    {"/input/storage/requests", "", "no read waits for a first byte",
     [](const Scenario& s) { return s.input && s.input->storage.latency > Seconds{}; }},
    {"/input/pinned", "true", "nothing is copied",
     [](const Scenario& s) { return s.input && s.input->tensor > Bytes{}; }},
    {"/seed", "0", "nothing is drawn: no variation, no experts of drawn popularity", draws},
}};

bool is_stated(const IdleKey& key, const Json& document) {
  const Json::json_pointer pointer(key.pointer);
  return document.contains(pointer) && (*key.neutral == '\0' || document.at(pointer) != Json::parse(key.neutral));
}

}  // namespace

std::vector<std::string> idle_keys(const Scenario& scenario, const Json& document) {
  std::vector<std::string> notes;
  for (const IdleKey& one : kIdleKeys) {
    if (!one.is_read(scenario) && is_stated(one, document)) {
      notes.push_back(fmt::format("{} changes nothing here: {}", dotted(one.pointer), one.why));
    }
  }
  if (scenario.fold == Fold::kOff && scenario.network == Network::kAnalytic) {
    notes.emplace_back("fold off: every micro-batch is evaluated, but one rank of each class, as always without flows");
  }
  return notes;
}

}  // namespace trainyard
