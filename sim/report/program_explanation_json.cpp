#include <cstdint>
#include <string>
#include <utility>
#include <variant>

#include "sim/report/program_explanation.hpp"

namespace trainyard {
namespace {

constexpr NameTable<Pass, 3> kPassNames{
    {{{"forward", Pass::kForward}, {"dgrad", Pass::kDgrad}, {"wgrad", Pass::kWgrad}}}};
constexpr NameTable<OperationKind, 4> kOperationKindNames{{{{"kernels", OperationKind::kKernels},
                                                            {"communication", OperationKind::kCommunication},
                                                            {"host_work", OperationKind::kHostWork},
                                                            {"host_wait", OperationKind::kHostWait}}}};

struct ToJson {
  Json operator()(const Gemm& gemm) const {
    return {{"kind", "gemm"},
            {"batch", gemm.batch},
            {"m", gemm.m},
            {"n", gemm.n},
            {"k", gemm.k},
            {"precision", kPrecisionNames.name_of(gemm.precision)},
            {"flops", gemm.flops().value}};
  }
  Json operator()(const GroupedGemm& gemm) const {
    return {{"kind", "grouped_gemm"},
            {"tokens", gemm.tokens},
            {"n", gemm.n},
            {"k", gemm.k},
            {"precision", kPrecisionNames.name_of(gemm.precision)},
            {"flops", gemm.flops().value}};
  }
  Json operator()(const Attention& attention) const {
    return {{"kind", "attention"},
            {"batch", attention.batch},
            {"heads", attention.heads},
            {"kv_heads", attention.kv_heads},
            {"seq_q", attention.seq_q},
            {"seq_kv", attention.seq_kv},
            {"head_dim", attention.head_dim},
            {"causal", attention.mask == Mask::kCausal},
            {"precision", kPrecisionNames.name_of(attention.precision)},
            {"flops", attention.flops().value}};
  }
  Json operator()(const Convolution& work) const {
    return {{"kind", "convolution"},
            {"pass", kConvolutionPassNames.name_of(work.pass)},
            {"images", work.images},
            {"channels", work.channels},
            {"height", work.height},
            {"width", work.width},
            {"filters", work.filters},
            {"filter_height", work.filter_height},
            {"filter_width", work.filter_width},
            {"stride", work.stride},
            {"pad_height", work.pad_height},
            {"pad_width", work.pad_width},
            {"groups", work.groups},
            {"precision", kPrecisionNames.name_of(work.precision)},
            {"flops", work.flops().value}};
  }
  Json operator()(const MemoryBound& kernel) const {
    return {{"kind", "memory_bound"}, {"traffic_bytes", kernel.traffic.value}};
  }
  Json operator()(const GroupCollective& collective) const {
    return {{"kind", "collective"},
            {"op", kCollectiveOpNames.name_of(collective.op)},
            {"group", kParallelGroupNames.name_of(collective.group)},
            {"size_bytes", collective.size.value},
            {"beside_operators", collective.overlapped_operators}};
  }
  Json operator()(const HostSync& /*sync*/) const { return {{"kind", "host_sync"}}; }
};

Json listing_json(const OperatorListing& listing) {
  Json out = Json::array();
  for (const ListedOperator& one : listing) {
    Json json = {{"name", std::string(one.op.name)}, {"pass", kPassNames.name_of(one.op.pass)}};
    json.update(std::visit(ToJson{}, one.op.work));
    if (one.time > Seconds{}) {
      json["time_s"] = one.time.value;
    }
    out.push_back(std::move(json));
  }
  return out;
}

Json listing_json(const ListedOperation& one, const Program& program) {
  Json json = {{"name", program.names[static_cast<std::size_t>(one.first.name)]},
               {"kind", kOperationKindNames.name_of(one.first.kind)},
               {"category", kCategoryNames.name_of(one.first.category)},
               {"count", one.count}};
  switch (one.first.kind) {
    case OperationKind::kKernels:
      json["stream"] = kStreamNames.name_of(one.first.stream);
      json["kernels"] = one.first.run.kernels;
      json["device_s"] = one.first.run.device.value;
      break;
    case OperationKind::kCommunication:
      json["stream"] = kStreamNames.name_of(one.first.stream);
      for (const CommunicationId id : one.communications) {
        const Communication& communication = program.communications[id.index()];
        json["communications"].push_back({{"name", communication.name},
                                          {"op", kCollectiveOpNames.name_of(communication.op)},
                                          {"size_bytes", communication.size.value},
                                          {"groups", communication.groups.size()},
                                          {"members", communication.groups.front().size()}});
      }
      break;
    case OperationKind::kHostWork:
    case OperationKind::kHostWait:
      break;
  }
  json["host_s"] = one.first.run.host.value;
  return json;
}

}  // namespace

Json program_json(const Scenario& scenario, const Layout& layout, const Program& program,
                  std::span<const KernelCosts* const> costs) {
  const ExplainedProgram explained = explain(scenario, layout, program, costs);
  Json models = Json::array();
  for (const ExplainedModel& model : explained.models) {
    Json parts = Json::array();
    for (const ListedPart& part : model.parts) {
      parts.push_back({{"name", part.name},
                       {"forward", listing_json(part.forward)},
                       {"recompute", listing_json(part.recompute)},
                       {"backward", listing_json(part.backward)}});
    }
    models.push_back({{"parts", std::move(parts)}});
  }
  Json classes = Json::array();
  for (const ExplainedClass& one : explained.classes) {
    Json passes = Json::array();
    for (const StagePass& pass : one.passes) {
      passes.push_back(pass_text(pass));
    }
    Json operations = Json::array();
    for (const ListedOperation& operation : one.operations) {
      operations.push_back(listing_json(operation, program));
    }
    Json layers = Json::array();
    for (const Chunk& chunk : layout.stages[one.stage].chunks) {
      for (std::int64_t layer = 0; layer < chunk.layers; ++layer) {
        layers.push_back(part_name(scenario.model, layer_kind(scenario.model, chunk.first_layer + layer)));
      }
    }
    classes.push_back({{"name", one.name},
                       {"stage", one.stage},
                       {"ranks", one.ranks},
                       {"model", one.model},
                       {"layers", std::move(layers)},
                       {"passes", std::move(passes)},
                       {"operations", std::move(operations)}});
  }
  return {{"models", std::move(models)}, {"classes", std::move(classes)}};
}

}  // namespace trainyard
