// Which layer of a model is of which kind, and what its queries see.
#include <algorithm>

#include "models/model.hpp"
#include "sim/base/error.hpp"

namespace trainyard {
namespace {

bool has_experts(const ModelSpec& model, std::int64_t index) {
  return model.experts && index >= model.experts->first_dense &&
         (index - model.experts->first_dense + 1) % model.experts->period == 0;
}

bool has_window(const ModelSpec& model, std::int64_t index) {
  return model.window > 0 && (model.global_every == 0 || (index + 1) % model.global_every != 0);
}

}  // namespace

LayerKind layer_kind(const ModelSpec& model, std::int64_t index) {
  TY_ASSERT(index >= 0 && index < model.layers);
  const Stack stack = model.encoder_layers == 0      ? Stack::kDecoderOnly
                      : index < model.encoder_layers ? Stack::kEncoder
                                                     : Stack::kDecoder;
  if (model.network) {
    return {.unit = model.network->first_alike[static_cast<std::size_t>(index)]};
  }
  return {.feed_forward = has_experts(model, index) ? FeedForward::kExperts : FeedForward::kDense,
          .span = has_window(model, index) ? AttentionSpan::kWindow : AttentionSpan::kGlobal,
          .stack = stack};
}

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

std::vector<LayerKind> layer_kinds(const ModelSpec& model) {
  std::vector<LayerKind> kinds;
  for (std::int64_t index = 0; index < model.layers; ++index) {
    const LayerKind kind = layer_kind(model, index);
    if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
      kinds.push_back(kind);
    }
  }
  return kinds;
}

bool has_layer(const ModelSpec& model, FeedForward feed_forward) {
  const std::vector<LayerKind> kinds = layer_kinds(model);
  return std::any_of(kinds.begin(), kinds.end(),
                     [feed_forward](const LayerKind& kind) { return kind.feed_forward == feed_forward; });
}

}  // namespace trainyard
