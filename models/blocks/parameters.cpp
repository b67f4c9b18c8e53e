// Parameter counts and shares, and model FLOPs, read off the descriptions.
#include "models/blocks/parameters.hpp"

#include "models/blocks/ends.hpp"
#include "models/blocks/layer.hpp"

namespace trainyard {
namespace {

// The whole of a model on one rank.
ShardShape whole(std::int64_t seq_len = 0) {
  return {.seq_len = seq_len};
}

// What weights there are does not depend on what a framework fuses.
constexpr OperatorOptions kAnyOptions;

template <class Counts>
std::int64_t elements(const std::vector<Weight>& weights, const Counts& counts) {
  std::int64_t total = 0;
  for (const Weight& weight : weights) {
    total += counts(weight) ? weight.elements : 0;
  }
  return total;
}

bool is_base(const Weight& weight) {
  return weight.of == WeightOf::kBase;
}

bool is_adapter(const Weight& weight) {
  return weight.of == WeightOf::kAdapter;
}

auto counted_with(CountedWith counted) {
  return [counted](const Weight& weight) { return weight.counted == counted && is_base(weight); };
}

bool is_summed(AcrossRanks across, const ShardShape& shape) {
  const bool sees_part_of_tokens = shape.sequence_parallel == SequenceParallel::kOn;
  return shape.tp > 1 &&
         (across == AcrossRanks::kAlikeOverWidth || (across == AcrossRanks::kAlikeOverTokens && sees_part_of_tokens));
}

ParameterShare share_of(const ModelSpec& model, const std::vector<Weight>& weights, const ShardShape& shape) {
  ParameterShare share;
  for (const Weight& weight : weights) {
    if (weight.counted == CountedWith::kPretraining) {
      continue;
    }
    const bool trains = weight.updated == Updated::kByOptimizer && (!model.adapters || is_adapter(weight));
    (weight.owner == Owner::kShared ? share.shared : share.experts) += weight.elements;
    if (trains) {
      (weight.owner == Owner::kShared ? share.trainable_shared : share.trainable_experts) += weight.elements;
    }
    if (trains && is_summed(weight.across, shape)) {
      share.alike += weight.elements;
      share.alike_tensors += weight.tensors;
    }
  }
  return share;
}

std::vector<WeightMatrix> matrices_of(const ModelSpec& model, const std::vector<Weight>& weights) {
  std::vector<WeightMatrix> matrices;
  for (const Weight& weight : weights) {
    if (weight.rows > 0 && (!model.adapters || is_adapter(weight))) {
      matrices.push_back({.rows = weight.rows,
                          .columns = weight.elements / (weight.tensors * weight.rows),
                          .count = weight.tensors,
                          .of_experts = weight.owner == Owner::kExperts ? Presence::kPresent : Presence::kAbsent});
    }
  }
  return matrices;
}

std::int64_t layers_of(const ModelSpec& model, const LayerKind& kind) {
  std::int64_t layers = 0;
  for (std::int64_t index = 0; index < model.layers; ++index) {
    layers += layer_kind(model, index) == kind ? 1 : 0;
  }
  return layers;
}

template <class OfKind>
std::int64_t over_layers(const ModelSpec& model, OfKind of_kind) {
  std::int64_t total = 0;
  for (const LayerKind& kind : layer_kinds(model)) {
    total += layers_of(model, kind) * of_kind(kind);
  }
  return total;
}

}  // namespace

std::vector<Weight> layer_weights(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape) {
  return layer_description(model, kind, shape, kAnyOptions).weights();
}

std::vector<Weight> head_weights(const ModelSpec& model, const ShardShape& shape) {
  return head_description(model, shape, kAnyOptions).weights();
}

std::vector<Weight> embedding_weights(const ModelSpec& model, const ShardShape& shape) {
  std::vector<Weight> out;
  for (const Description& description : embedding_descriptions(model, shape, kAnyOptions)) {
    out.insert(out.end(), description.weights().begin(), description.weights().end());
  }
  return out;
}

ParameterShare& ParameterShare::operator+=(const ParameterShare& other) {
  shared += other.shared;
  experts += other.experts;
  trainable_shared += other.trainable_shared;
  trainable_experts += other.trainable_experts;
  alike += other.alike;
  alike_tensors += other.alike_tensors;
  return *this;
}

ParameterShare layer_share(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape) {
  return share_of(model, layer_weights(model, kind, shape), shape);
}

std::vector<WeightMatrix> layer_matrices(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape) {
  return matrices_of(model, layer_weights(model, kind, shape));
}

std::vector<WeightMatrix> head_matrices(const ModelSpec& model, const ShardShape& shape) {
  return matrices_of(model, head_weights(model, shape));
}

std::int64_t small_parameters(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape, double most) {
  std::int64_t total = 0;
  for (const Weight& weight : layer_weights(model, kind, shape)) {
    const bool is_small = static_cast<double>(weight.elements) <= most * static_cast<double>(weight.tensors);
    total += is_small && weight.owner == Owner::kShared ? weight.elements : 0;
  }
  return total;
}

ParameterShare embedding_share(const ModelSpec& model, const ShardShape& shape) {
  return share_of(model, embedding_weights(model, shape), shape);
}

ParameterShare head_share(const ModelSpec& model, const ShardShape& shape) {
  return share_of(model, head_weights(model, shape), shape);
}

std::int64_t layer_parameters(const ModelSpec& model, const LayerKind& kind) {
  return elements(layer_weights(model, kind, whole()), is_base);
}

std::int64_t embedding_parameters(const ModelSpec& model) {
  return elements(embedding_weights(model, whole()), is_base);
}

std::int64_t head_parameters(const ModelSpec& model) {
  const std::vector<Weight> weights = head_weights(model, whole());
  const bool is_tied = model.tied_embeddings == Presence::kPresent;
  return elements(weights, counted_with(CountedWith::kModel)) +
         (is_tied ? 0 : elements(weights, counted_with(CountedWith::kUntiedModel)));
}

std::int64_t mlm_head_parameters(const ModelSpec& model) {
  return elements(head_weights(model, whole()), counted_with(CountedWith::kPretraining));
}

std::int64_t parameters(const ModelSpec& model) {
  return embedding_parameters(model) + head_parameters(model) +
         over_layers(model, [&](const LayerKind& kind) { return layer_parameters(model, kind); });
}

std::int64_t prediction_parameters(const ModelSpec& model) {
  return elements(head_weights(model, whole()), counted_with(CountedWith::kPrediction));
}

std::int64_t adapter_parameters(const ModelSpec& model) {
  return over_layers(model,
                     [&](const LayerKind& kind) { return elements(layer_weights(model, kind, whole()), is_adapter); });
}

std::int64_t trainable_parameters(const ModelSpec& model) {
  return model.adapters ? adapter_parameters(model) : parameters(model);
}

Flops flops_per_token(const ModelSpec& model, std::int64_t seq_len, std::int64_t document_len) {
  ShardShape shape = whole(seq_len);
  shape.document_len = document_len;
  Flops flops = head_description(model, shape, kAnyOptions).model_flops();
  for (const Description& description : embedding_descriptions(model, shape, kAnyOptions)) {
    flops += description.model_flops();
  }
  for (const LayerKind& kind : layer_kinds(model)) {
    const Flops one = layer_description(model, kind, shape, kAnyOptions).model_flops();
    flops += static_cast<double>(layers_of(model, kind)) * one;
  }
  return flops / static_cast<double>(seq_len);
}

}  // namespace trainyard
