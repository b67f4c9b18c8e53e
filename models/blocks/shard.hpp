#pragma once
// The room's own: what of the model one rank works on.
#include <cstdint>

#include "models/operators.hpp"

namespace trainyard {

// Sizes of one rank's part of a layer. What does not divide evenly is rounded up: the largest shard sets the pace.
struct Shard {
  Shard(const ModelSpec& model, const ShardShape& shape);

  std::int64_t tokens = 0;           // of the micro-batch
  std::int64_t token_shard = 0;      // of norms, dropouts and residuals: tokens / tp with sequence parallelism
  std::int64_t heads = 0;            // query heads of this rank
  std::int64_t kv_heads = 0;         // at least one: replicated when there are fewer than ranks
  std::int64_t query_width = 0;      // heads x head_dim (of latent attention: both parts of a query)
  std::int64_t key_value_width = 0;  // kv_heads x head_dim, of the keys or of the values
  std::int64_t context_width = 0;    // of the attention output: heads x dimension of a value
  std::int64_t ffn = 0;
  std::int64_t vocab = 0;

  std::int64_t qkv_width() const { return query_width + 2 * key_value_width; }
};

inline constexpr Bytes kSingle{4.0};  // an fp32 element: what eager kernels compute in
inline constexpr Bytes kMask{1.0};    // a dropout mask is one byte per element

constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

constexpr bool is_narrow(Precision precision) {
  return bytes_per_element(precision) < bytes_per_element(Precision::kBf16);
}

// A layer of a kind on one rank, as a framework runs it. Refers to the model and the options it is given.
class ShardContext {
 public:
  ShardContext(const ModelSpec& model, const ShardShape& shape, const OperatorOptions& options,
               const LayerKind& kind = {});

  const ModelSpec& model() const { return model_; }
  // That the layers of this stack see: a decoder beside an encoder has a sequence length of its own.
  const ShardShape& shape() const { return shape_; }
  const OperatorOptions& options() const { return options_; }
  const Shard& shard() const { return shard_; }
  const LayerKind& kind() const { return kind_; }
  std::int64_t encoder_seq_len() const { return encoder_seq_len_; }  // of this rank, where there is an encoder
  Bytes element() const { return shape_.activation_element; }
  // Bytes of an element of the residual stream, of norms and of embeddings. Where parameters are stored wider than
  // activations, operators that gain from 16 bits get their inputs and weights cast, and these stay as wide as the
  // parameters. Source: PyTorch, aten/src/ATen/autocast_mode.h, the lists of operators cast to lower_precision_fp and
  // to fp32.
  Bytes residual_element() const { return max(shape_.parameter_element, shape_.activation_element); }
  bool is_autocast() const { return shape_.parameter_element > shape_.activation_element; }
  bool tensor_parallel() const { return shape_.tp > 1; }
  bool sequence_parallel() const { return tensor_parallel() && shape_.sequence_parallel == SequenceParallel::kOn; }
  bool dropout() const { return model_.dropout == Presence::kPresent; }
  // Statement by statement, in fp32.
  bool eager_rms_norm() const {
    return model_.normalization == Normalization::kRmsNorm && options_.norm == Fusion::kOff;
  }
  // What stays in 16 bits when linears are narrower: attention and the logits.
  Precision wide_precision() const { return is_narrow(shape_.precision) ? Precision::kBf16 : shape_.precision; }
  // Of the residual stream on this rank.
  std::int64_t hidden_shard() const { return shard_.token_shard * model_.hidden; }

 private:
  const ModelSpec& model_;
  ShardShape shape_;
  const OperatorOptions& options_;
  LayerKind kind_;
  Shard shard_;
  std::int64_t encoder_seq_len_;
};

}  // namespace trainyard
