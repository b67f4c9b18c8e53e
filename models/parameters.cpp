// Parameter counts and shares, and model FLOPs, from the shapes of the weights.
#include <algorithm>

#include "models/operator_list.hpp"
#include "models/weights.hpp"

namespace trainyard {
namespace {

std::int64_t if_present(Presence presence, std::int64_t count) {
  return presence == Presence::kPresent ? count : 0;
}

// The whole of a layer on one rank.
ShardShape whole() {
  return {};
}

bool is_summed(AcrossRanks across, const ShardShape& shape) {
  const bool sees_part_of_tokens = shape.sequence_parallel == SequenceParallel::kOn;
  return shape.tp > 1 &&
         (across == AcrossRanks::kAlikeOverHeads || (across == AcrossRanks::kAlikeOverTokens && sees_part_of_tokens));
}

ParameterShare sum(const ModelSpec& model, const std::vector<Weight>& weights, const ShardShape& shape) {
  ParameterShare share;
  for (const Weight& weight : weights) {
    const bool trains = !model.adapters || weight.training == Training::kAdapter;
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

ParameterShare outside_layers(const ModelSpec& model, std::int64_t elements) {
  return {.shared = elements, .trainable_shared = model.adapters ? 0 : elements};
}

// What norms outside of layers, which are counted elsewhere, add to the gradients that ranks hold alike.
ParameterShare alike_norms(const ModelSpec& model, std::int64_t norms, const ShardShape& shape) {
  if (model.adapters || !is_summed(AcrossRanks::kAlikeOverTokens, shape)) {
    return {};
  }
  const std::int64_t elements = norms * norm_elements(model, model.hidden);
  return {.alike = elements, .alike_tensors = elements / model.hidden};
}

std::int64_t adapters_of_layer(const ModelSpec& model, const LayerKind& kind) {
  std::int64_t total = 0;
  for (const Weight& weight : layer_weights(model, kind, whole())) {
    total += weight.training == Training::kAdapter ? weight.elements : 0;
  }
  return total;
}

template <class OfKind>
std::int64_t over_layers(const ModelSpec& model, OfKind of_kind) {
  std::int64_t total = 0;
  for (const LayerKind& kind : layer_kinds(model)) {
    std::int64_t layers = 0;
    for (std::int64_t index = 0; index < model.layers; ++index) {
      layers += layer_kind(model, index) == kind ? 1 : 0;
    }
    total += layers * of_kind(kind);
  }
  return total;
}

// Input side beside the token or patch matrix, and output side beside the output matrix.
std::int64_t embedding_extras(const ModelSpec& model) {
  const std::int64_t positions = model.positions == Positions::kLearned ? model.seq_len + model.spare_positions : 0;
  // One table of relative positions for all layers of the encoder, one for those of the decoder.
  const std::int64_t relative = model.positions == Positions::kRelative
                                    ? (model.encoder_layers > 0 ? 2 : 1) * model.relative_buckets * model.heads
                                    : 0;
  const std::int64_t class_token_and_patch_bias = model.vision ? 2 * model.hidden : 0;
  return (positions + model.token_types) * model.hidden + relative + class_token_and_patch_bias +
         if_present(model.embedding_norm, norm_elements(model, model.hidden));
}

// One each of encoder and decoder.
std::int64_t final_norms(const ModelSpec& model) {
  return model.encoder_layers > 0 ? 2 : 1;
}

std::int64_t head_extras(const ModelSpec& model) {
  return final_norms(model) * if_present(model.final_norm, norm_elements(model, model.hidden)) +
         if_present(model.pooler_and_mlm_head, (model.hidden + 1) * model.hidden) +
         if_present(model.head_bias, model.vocab) + (model.vision ? model.vocab : 0);  // biases of the classes
}

// Rows of the input table: vocabulary, or numbers of a patch.
std::int64_t input_rows(const ModelSpec& model) {
  return model.vision ? model.vision->patch_inputs : model.vocab;
}

LayerKind last_kind(const ModelSpec& model) {
  return layer_kind(model, model.layers - 1);
}

// Multiply-adds of attention's two products for one query of a layer.
double attention_multiply_adds(const ModelSpec& model, double keys) {
  const double width = model.latent ? static_cast<double>(model.latent->query_dim() + model.latent->value_dim)
                                    : 2.0 * static_cast<double>(model.head_dim);
  return static_cast<double>(model.heads) * width * keys;
}

double visible_keys(const ModelSpec& model, const LayerKind& kind, std::int64_t seq_len) {
  const Attention attention{.seq_q = seq_len,
                            .seq_kv = seq_len,
                            .mask = mask_of(model, kind),
                            .window = kind.span == AttentionSpan::kWindow ? model.window : 0};
  return attention.visible_keys();
}

// FLOPs forward and backward per multiply-add: a frozen matrix needs no gradient of its own.
constexpr double kTrained = 6.0;
constexpr double kFrozen = 4.0;

double weight_flops(const ModelSpec& model, const LayerKind& kind) {
  double flops = 0.0;
  for (const Weight& weight : layer_weights(model, kind, whole())) {
    flops += (model.adapters && weight.training == Training::kBase ? kFrozen : kTrained) * weight.multiplied;
  }
  return flops;
}

// Of one layer, per token of its own sequence.
double layer_flops(const ModelSpec& model, const LayerKind& kind, std::int64_t seq_len) {
  return weight_flops(model, kind) + kTrained * attention_multiply_adds(model, visible_keys(model, kind, seq_len));
}

// Decoder layers of a sequence of model.decoder_seq_len beside one of `seq_len` in the encoder. Keys and values of the
// cross attention are projected from the encoder's tokens.
double decoder_layer_flops(const ModelSpec& model, const LayerKind& kind, std::int64_t seq_len) {
  const auto encoder = static_cast<double>(seq_len);
  const auto decoder = static_cast<double>(model.decoder_seq_len);
  const auto keys_and_values = static_cast<double>(2 * model.hidden * model.kv_heads * model.head_dim);
  return decoder * (layer_flops(model, kind, model.decoder_seq_len) +
                    kTrained * attention_multiply_adds(model, encoder) - kTrained * keys_and_values) +
         encoder * kTrained * keys_and_values;
}

}  // namespace

Mask mask_of(const ModelSpec& model, const LayerKind& kind) {
  switch (kind.stack) {
    case Stack::kDecoderOnly:
      break;
    case Stack::kEncoder:
      return Mask::kFull;
    case Stack::kDecoder:
      return Mask::kCausal;
  }
  return model.mask;
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
  return sum(model, layer_weights(model, kind, shape), shape);
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
  const std::int64_t rows = model.vision ? input_rows(model) : Shard(model, shape).vocab;
  return outside_layers(model, rows * model.hidden + embedding_extras(model));
}

ParameterShare head_share(const ModelSpec& model, const ShardShape& shape) {
  const Shard shard(model, shape);
  ParameterShare share = outside_layers(model, shard.vocab * model.hidden + head_extras(model));
  share += alike_norms(model, if_present(model.final_norm, final_norms(model)), shape);
  for (std::int64_t module = 0; module < model.predicted_tokens; ++module) {
    share += layer_share(model, last_kind(model), shape);
    share += outside_layers(model, 2 * model.hidden * model.hidden + 3 * norm_elements(model, model.hidden));
    share += alike_norms(model, 3, shape);
  }
  return share;
}

std::int64_t layer_parameters(const ModelSpec& model, const LayerKind& kind) {
  return layer_share(model, kind, whole()).total() - adapters_of_layer(model, kind);
}

std::int64_t embedding_parameters(const ModelSpec& model) {
  return input_rows(model) * model.hidden + embedding_extras(model);
}

std::int64_t head_parameters(const ModelSpec& model) {
  const std::int64_t untied = model.tied_embeddings == Presence::kPresent ? 0 : model.vocab * model.hidden;
  return untied + head_extras(model);
}

std::int64_t mlm_head_parameters(const ModelSpec& model) {
  constexpr std::int64_t kPairClasses = 2;  // does the second sentence follow the first
  return if_present(model.pooler_and_mlm_head, (model.hidden + 1) * model.hidden + norm_elements(model, model.hidden) +
                                                   model.vocab + kPairClasses * (model.hidden + 1));
}

std::int64_t parameters(const ModelSpec& model) {
  return embedding_parameters(model) + head_parameters(model) +
         over_layers(model, [&](const LayerKind& kind) { return layer_parameters(model, kind); });
}

std::int64_t prediction_parameters(const ModelSpec& model) {
  return model.predicted_tokens * (layer_parameters(model, last_kind(model)) + 2 * model.hidden * model.hidden +
                                   3 * norm_elements(model, model.hidden));
}

std::int64_t adapter_parameters(const ModelSpec& model) {
  return over_layers(model, [&](const LayerKind& kind) { return adapters_of_layer(model, kind); });
}

std::int64_t trainable_parameters(const ModelSpec& model) {
  return model.adapters ? adapter_parameters(model) : parameters(model);
}

Flops flops_per_token(const ModelSpec& model, std::int64_t seq_len) {
  const double matrix = model.adapters ? kFrozen : kTrained;
  const auto output = static_cast<double>(model.vocab) * static_cast<double>(model.hidden);
  const auto sequence = static_cast<double>(seq_len);
  double flops = 0.0;
  for (std::int64_t index = 0; index < model.layers; ++index) {
    const LayerKind kind = layer_kind(model, index);
    flops += kind.stack == Stack::kDecoder ? decoder_layer_flops(model, kind, seq_len) / sequence
                                           : layer_flops(model, kind, seq_len);
  }
  // Logits of every token; a vision model's of one token per image, but its patches are projected.
  if (model.vision) {
    const auto patches = static_cast<double>(seq_len - 1);
    flops += matrix * (output + patches * static_cast<double>(model.vision->patch_inputs * model.hidden)) / sequence;
  } else if (model.encoder_layers > 0) {
    flops += matrix * output * static_cast<double>(model.decoder_seq_len) / sequence;
  } else {
    flops += matrix * output;
  }
  const auto predicted = static_cast<double>(model.predicted_tokens);
  flops +=
      predicted * (layer_flops(model, last_kind(model), seq_len) +
                   matrix * (2.0 * static_cast<double>(model.hidden) * static_cast<double>(model.hidden) + output));
  return {flops};
}

}  // namespace trainyard
