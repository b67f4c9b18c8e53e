#include "models/weights.hpp"

#include <algorithm>

#include "models/operator_list.hpp"

namespace trainyard {
namespace {

bool is(Presence presence) {
  return presence == Presence::kPresent;
}

// Weights of a layer, collected.
class Weights {
 public:
  Weights(const ModelSpec& model, const ShardShape& shape) : model_(model), shape_(shape), shard_(model, shape) {}

  void attention();
  void cross_attention();
  void dense_mlp() { mlp(shard_.ffn); }
  void experts();
  void norms(int count) { norm(model_.hidden, AcrossRanks::kAlikeOverTokens, count); }
  std::vector<Weight> take() { return std::move(weights_); }

 private:
  void vector(std::int64_t elements, AcrossRanks across = AcrossRanks::kCut) {
    weights_.push_back({.elements = elements, .across = across});
  }
  void matrix(std::int64_t elements, AcrossRanks across = AcrossRanks::kCut) {
    weights_.push_back({.elements = elements, .multiplied = static_cast<double>(elements), .across = across});
  }
  // `count` norms of `width` channels.
  void norm(std::int64_t width, AcrossRanks across, int count = 1) {
    const std::int64_t elements = norm_elements(model_, width);
    weights_.push_back({.elements = count * elements, .across = across, .tensors = count * elements / width});
  }
  // Adapters of a linear of this rank's sizes.
  void adapter(Module module, std::int64_t in, std::int64_t out) {
    if (model_.adapters && model_.adapters->has(module)) {
      const std::int64_t elements = model_.adapters->rank * (in + out);
      weights_.push_back(
          {.elements = elements, .multiplied = static_cast<double>(elements), .training = Training::kAdapter});
    }
  }
  void bias(Presence presence, std::int64_t elements, AcrossRanks across = AcrossRanks::kCut) {
    if (is(presence)) {
      vector(elements, across);
    }
  }
  void latent_attention(const LatentAttention& latent);
  void output_projection();
  void mlp(std::int64_t width);

  const ModelSpec& model_;
  const ShardShape& shape_;
  Shard shard_;
  std::vector<Weight> weights_;
};

void Weights::output_projection() {
  matrix(shard_.context_width * model_.hidden);
  adapter(Module::kAttentionOutput, shard_.context_width, model_.hidden);
  bias(model_.output_bias(), model_.hidden, AcrossRanks::kAlikeOverTokens);
}

void Weights::latent_attention(const LatentAttention& latent) {
  if (latent.query_rank > 0) {
    matrix(model_.hidden * latent.query_rank, AcrossRanks::kAlikeOverTokens);
    vector(latent.query_rank, AcrossRanks::kAlikeOverTokens);
    matrix(latent.query_rank * shard_.query_width);
  } else {
    matrix(model_.hidden * shard_.query_width);
  }
  matrix(model_.hidden * (latent.key_value_rank + latent.rotary_dim), AcrossRanks::kAlikeOverTokens);
  vector(latent.key_value_rank, AcrossRanks::kAlikeOverTokens);
  matrix(latent.key_value_rank * shard_.heads * (latent.plain_dim + latent.value_dim));
  output_projection();
}

void Weights::attention() {
  if (model_.latent) {
    latent_attention(*model_.latent);
    return;
  }
  matrix(model_.hidden * shard_.qkv_width());
  adapter(Module::kQkv, model_.hidden, shard_.qkv_width());
  bias(model_.qkv_bias, shard_.qkv_width());
  if (is(model_.query_key_norm)) {
    if (model_.query_key_norm_span == NormSpan::kHead) {
      norm(model_.head_dim, AcrossRanks::kAlikeOverHeads, 2);
    } else {
      norm(shard_.query_width, AcrossRanks::kCut);
      norm(shard_.key_value_width, AcrossRanks::kCut);
    }
  }
  if (is(model_.attention_sinks)) {
    vector(shard_.heads);
  }
  output_projection();
}

void Weights::cross_attention() {
  matrix(model_.hidden * shard_.qkv_width());
  bias(model_.qkv_bias, shard_.qkv_width());
  output_projection();
}

void Weights::mlp(std::int64_t width) {
  const std::int64_t inner = model_.gated() ? 2 * width : width;
  matrix(model_.hidden * inner);
  adapter(Module::kMlpUp, model_.hidden, inner);
  bias(model_.linear_bias, inner);
  matrix(width * model_.hidden);
  adapter(Module::kMlpDown, width, model_.hidden);
  bias(model_.linear_bias, model_.hidden, AcrossRanks::kAlikeOverTokens);
}

void Weights::experts() {
  const Experts& experts = *model_.experts;
  matrix(model_.hidden * experts.count, AcrossRanks::kAlikeOverTokens);
  bias(experts.router_bias, experts.count, AcrossRanks::kAlikeOverTokens);
  const std::int64_t local = divide_up(experts.count, shape_.ep);
  const std::int64_t width = divide_up(experts.ffn, shape_.expert_tp);
  const std::int64_t inner = model_.gated() ? 2 * width : width;
  const std::int64_t each = model_.hidden * (inner + width);
  weights_.push_back({.elements = local * each,
                      .multiplied = static_cast<double>(experts.per_token * each),
                      .owner = Owner::kExperts});
  if (is(experts.expert_bias)) {
    weights_.push_back({.elements = local * (inner + model_.hidden), .owner = Owner::kExperts});
  }
  if (experts.shared_ffn > 0) {
    mlp(divide_up(experts.shared_ffn, shape_.tp));
    if (is(experts.shared_gate)) {
      matrix(model_.hidden, AcrossRanks::kAlikeOverTokens);
    }
  }
}

}  // namespace

std::int64_t norm_elements(const ModelSpec& model, std::int64_t width) {
  return model.normalization == Normalization::kLayerNorm && is(model.norm_bias) ? 2 * width : width;
}

std::vector<Weight> layer_weights(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape) {
  Weights weights(model, shape);
  weights.attention();
  const bool crosses = kind.stack == Stack::kDecoder;
  if (crosses) {
    weights.cross_attention();
  }
  if (kind.feed_forward == FeedForward::kExperts) {
    weights.experts();
  } else {
    weights.dense_mlp();
  }
  weights.norms((model.has_attention_norm() ? 1 : 0) + (model.has_mlp_norm() ? 1 : 0) + (is(model.post_norms) ? 2 : 0) +
                (crosses ? 1 : 0));
  return weights.take();
}

}  // namespace trainyard
