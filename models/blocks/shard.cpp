// Sizes of a rank, and the guard against tensors whose elements 64 bits cannot count.
#include "models/blocks/shard.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

// Tokens of a rank, once no tensor of its is too large. The bound is in floating point, over the widest that a token
// can become: logits, scores, projections, what experts exchange.
std::int64_t countable_tokens(const ModelSpec& model, const ShardShape& shape) {
  constexpr double kMostElements = 1e17;
  const auto real = [](std::int64_t value) { return static_cast<double>(value); };
  const double tokens = real(shape.micro_batch) * real(shape.local_seq_len());
  const double experts = model.experts ? real(model.experts->per_token) * real(shape.ep) : 1.0;
  const double expert_width = model.experts ? real(std::max(model.experts->ffn, model.experts->count)) : 0.0;
  const std::int64_t head = std::max(model.head_dim, model.latent ? model.latent->query_dim() : 0);
  const double width =
      std::max({real(std::max(model.vocab, shape.padded_vocab)), real(model.heads) * real(shape.seq_len),
                real(model.heads) * real(head), real(model.ffn), real(model.hidden) * experts, expert_width * experts,
                model.network ? real(model.network->widest()) : 0.0});
  if (tokens * width > kMostElements) {
    throw UserError({.file = "scenario",
                     .pointer = "/training/micro_batch",
                     .found = fmt::format("{} sequences of {} tokens: a tensor of about {:.1e} elements",
                                          shape.micro_batch, shape.seq_len, tokens * width),
                     .allowed = fmt::format("at most {:.0e} elements", kMostElements),
                     .problem = "the tensors of one GPU are too large to be meant",
                     .remedy = "lower micro_batch or seq_len, or check the model's sizes"});
  }
  return shape.micro_batch * shape.local_seq_len();
}

ShardShape shape_of(const ModelSpec& model, const LayerKind& kind, ShardShape shape) {
  if (kind.stack == Stack::kDecoder) {
    shape.seq_len = model.decoder_seq_len;
  }
  return shape;
}

}  // namespace

Shard::Shard(const ModelSpec& model, const ShardShape& shape)
    : tokens(countable_tokens(model, shape)),
      token_shard(shape.sequence_parallel == SequenceParallel::kOn
                      ? shape.micro_batch * divide_up(shape.local_seq_len(), shape.tp)
                      : tokens),
      heads(divide_up(model.heads, shape.tp)),
      kv_heads(divide_up(model.kv_heads, shape.tp)),
      query_width(heads * (model.latent ? model.latent->query_dim() : model.head_dim)),
      key_value_width(kv_heads * model.head_dim),
      context_width(heads * (model.latent ? model.latent->value_dim : model.head_dim)),
      ffn(divide_up(model.ffn, shape.tp)),
      vocab(divide_up(shape.padded_vocab > 0 ? shape.padded_vocab : model.vocab, shape.tp)) {}

ShardContext::ShardContext(const ModelSpec& model, const ShardShape& shape, const OperatorOptions& options,
                           const LayerKind& kind)
    : model_(model),
      shape_(shape_of(model, kind, shape)),
      options_(options),
      kind_(kind),
      shard_(model, shape_),
      encoder_seq_len_(shape.local_seq_len()) {}

}  // namespace trainyard
