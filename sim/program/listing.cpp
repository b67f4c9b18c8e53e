#include "sim/program/listing.hpp"

#include <map>
#include <tuple>
#include <type_traits>
#include <utility>

#include "sim/memory/recompute.hpp"
#include "sim/program/stage_work.hpp"

namespace trainyard {
namespace {

OperatorListing listing(const std::vector<Operator>& operators, const KernelCosts& costs, const Issue& issue) {
  OperatorListing out;
  for (const Operator& op : operators) {
    const Seconds time = std::visit(
        [&](const auto& work) {
          using Work = std::decay_t<decltype(work)>;
          if constexpr (std::is_same_v<Work, GroupCollective> || std::is_same_v<Work, HostSync>) {
            return Seconds{};
          } else {
            const KernelWork kernel(work);
            return costs.time(kernel) / issue.rate_of(kernel);
          }
        },
        op.work);
    out.push_back({op, time});
  }
  return out;
}

}  // namespace

std::string part_name(const ModelSpec& model, const LayerKind& kind) {
  if (model.network) {
    return model.network->units[static_cast<std::size_t>(kind.unit)].name;
  }
  std::string name = kind.stack == Stack::kEncoder   ? "encoder layer"
                     : kind.stack == Stack::kDecoder ? "decoder layer"
                                                     : "layer";
  if (layer_kinds(model).size() > 1) {
    name += kind.feed_forward == FeedForward::kExperts ? " with experts" : "";
    name += kind.span == AttentionSpan::kWindow ? " with a window" : "";
  }
  return name;
}

std::vector<ListedPart> list_parts(const Scenario& scenario, const ShardShape& shard, const KernelCosts& costs) {
  const ModelSpec& model = scenario.model;
  const OperatorOptions options = operator_options(scenario);
  const auto list = [&](const std::vector<Operator>& operators) {
    return listing(operators, costs, {{}, scenario.framework.kernel_rate, memory_rate(scenario)});
  };
  std::vector<ListedPart> parts;
  parts.push_back({.name = "embedding",
                   .forward = list(embedding_forward(model, shard, options)),
                   .recompute = {},
                   .backward = list(embedding_backward(model, shard, options))});
  for (const LayerKind& kind : layer_kinds(model)) {
    parts.push_back(
        {.name = part_name(model, kind),
         .forward = list(layer_forward(model, kind, shard, options)),
         .recompute = list(layer_recompute(model, kind, shard, options, recompute_plan(scenario.training, 0))),
         .backward = list(layer_backward(model, kind, shard, options))});
  }
  parts.push_back({.name = "head",
                   .forward = list(head_forward(model, shard, options)),
                   .recompute = {},
                   .backward = list(head_backward(model, shard, options))});
  return parts;
}

std::vector<ListedOperation> list_operations(const RankProgram& program) {
  using Key = std::tuple<std::int32_t, int, int, double, std::vector<std::size_t>>;
  std::map<Key, std::size_t> known;
  std::vector<ListedOperation> out;
  for (const Operation& operation : program.operations) {
    const auto begin = program.communications.begin() + operation.first_communication;
    std::vector<CommunicationId> communications(begin, begin + operation.communications);
    std::vector<std::size_t> indices;
    for (const CommunicationId id : communications) {
      indices.push_back(id.index());
    }
    const Key key{operation.name, static_cast<int>(operation.kind), static_cast<int>(operation.stream),
                  operation.run.device.value, std::move(indices)};
    const auto [entry, is_new] = known.try_emplace(key, out.size());
    if (is_new) {
      out.push_back({operation, std::move(communications), 0});
    }
    ++out[entry->second].count;
  }
  return out;
}

}  // namespace trainyard
