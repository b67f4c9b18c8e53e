#pragma once
// The room's own tool for writing operator lists: the shard's sizes, and one function per kind of operator.
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

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

// A linear layer seen from one rank (of the whole layer: `in` of a column-parallel and `outputs` of a row-parallel one
// are not cut). `outputs` has one entry per GEMM: several when projections of the same input are
// not merged.
struct Linear {
  std::string_view name;
  std::int64_t in = 0;
  std::vector<std::int64_t> outputs;
  Presence bias = Presence::kAbsent;  // added (and its gradient reduced) by this linear, not by a fused kernel after it
  std::optional<Precision> precision;  // where it is not the shape's
  std::optional<Module> module{};      // the name by which it may have an adapter

  std::int64_t out() const;
};

// The shape that the layers of one stack see: a decoder beside an encoder has a sequence length of its own.
ShardShape shape_of(const ModelSpec& model, const LayerKind& kind, ShardShape shape);

// Bytes of an element of the residual stream, of norms and of embeddings. Where parameters are stored wider than
// activations, operators that gain from 16 bits get their inputs and weights cast, and these stay as wide as the
// parameters. Source: PyTorch, aten/src/ATen/autocast_mode.h, the lists of operators cast to lower_precision_fp and to
// fp32.
inline Bytes residual_element(const ShardShape& shape) {
  return max(shape.parameter_element, shape.activation_element);
}
inline bool is_autocast(const ShardShape& shape) {
  return shape.parameter_element > shape.activation_element;
}

class OperatorList {
 public:
  OperatorList(const ModelSpec& model, const ShardShape& shape, const OperatorOptions& options,
               const LayerKind& kind = {})
      : model_(model),
        shape_(shape_of(model, kind, shape)),
        options_(options),
        kind_(kind),
        shard_(model, shape_),
        encoder_seq_len_(shape.local_seq_len()) {}

  const ModelSpec& model() const { return model_; }
  const ShardShape& shape() const { return shape_; }
  const OperatorOptions& options() const { return options_; }
  const Shard& shard() const { return shard_; }
  const LayerKind& kind() const { return kind_; }
  std::int64_t encoder_seq_len() const { return encoder_seq_len_; }  // of this rank, where there is an encoder
  Bytes element() const { return shape_.activation_element; }
  Bytes residual_element() const { return trainyard::residual_element(shape_); }
  bool tensor_parallel() const { return shape_.tp > 1; }
  bool sequence_parallel() const { return tensor_parallel() && shape_.sequence_parallel == SequenceParallel::kOn; }
  bool dropout() const { return model_.dropout == Presence::kPresent; }
  // What stays in 16 bits when linears are narrower: attention and the logits.
  Precision wide_precision() const;

  void gemm(std::string_view name, Pass pass, const Gemm& work) { add(name, pass, work); }
  void grouped_gemm(std::string_view name, Pass pass, const GroupedGemm& work) { add(name, pass, work); }
  void attention(std::string_view name, Pass pass, const Attention& work) { add(name, pass, work); }
  // A kernel that moves `bytes_per_element` for each of `elements`.
  void elementwise(std::string_view name, Pass pass, std::int64_t elements, Bytes bytes_per_element);
  // `launches` kernels that each read and write one fp32 number for each of `elements`.
  void small(std::string_view name, Pass pass, std::int64_t elements, int launches);
  // A collective on the tensor-parallel group; nothing when tp is 1.
  void collective(CollectiveOp op, Pass pass, Bytes size, int overlapped_operators = 0);
  // One over another group.
  void collective(ParallelGroup group, std::string_view name, CollectiveOp op, Pass pass, Bytes size,
                  int overlapped_operators = 0);
  // The host waits for the device.
  void host_sync(std::string_view name) { add(name, Pass::kForward, HostSync{}); }
  // The collective last added runs beside what is added between these two.
  std::size_t begin_beside() const { return operators_.size(); }
  void end_beside(std::size_t begin);
  // Collectives of one hidden tensor (tokens x hidden).
  Bytes hidden_tensor() const { return tensor(shard_.tokens, model_.hidden); }
  // A tensor of stored activations.
  Bytes tensor(std::int64_t rows, std::int64_t columns) const {
    return static_cast<double>(rows) * static_cast<double>(columns) * element();
  }

  // Column-parallel linear (weight split by output) on the full tokens of a tensor-parallel group, this micro-batch's
  // or `tokens`, and row-parallel (split by input).
  void column_forward(const Linear& linear) { column_forward(linear, shard_.tokens); }
  void column_backward(const Linear& linear) { column_backward(linear, shard_.tokens); }
  void column_forward(const Linear& linear, std::int64_t tokens);
  void column_backward(const Linear& linear, std::int64_t tokens);
  void row_forward(const Linear& linear);
  void row_backward(const Linear& linear);
  // Linear on `tokens` tokens without any tensor parallelism.
  void local_forward(const Linear& linear, std::int64_t tokens);
  void local_backward(const Linear& linear, std::int64_t tokens);

  // Over the hidden size, of this rank's tokens; or over `rows` of `width`.
  void norm_forward(std::string_view name) { norm_forward(name, shard_.token_shard, model_.hidden); }
  void norm_backward(std::string_view name) { norm_backward(name, shard_.token_shard, model_.hidden); }
  void norm_forward(std::string_view name, std::int64_t rows, std::int64_t width);
  void norm_backward(std::string_view name, std::int64_t rows, std::int64_t width);
  // After row-parallel linears: bias, dropout and residual.
  void bias_dropout_add_forward(Presence bias);
  void bias_dropout_add_backward(Presence bias);
  // Sums the residual branch's gradient and the norm's.
  void residual_gradient_add();
  // The gradient of a parameter that no GEMM accumulates: one kernel, when there is a buffer to add it to.
  void accumulate_gradient(std::int64_t elements);

  // Narrow operands of `elements` numbers: the kernels that write them. Nothing for 16 and more bits.
  void quantize(Precision precision, std::int64_t elements, Pass pass);
  void append(std::vector<Operator> operators);

  std::vector<Operator> take() { return std::move(operators_); }

 private:
  void add(std::string_view name, Pass pass,
           std::variant<Gemm, GroupedGemm, Attention, MemoryBound, GroupCollective, HostSync> work) {
    // What a frozen base does not compute: gradients of its parameters.
    if (pass != Pass::kWgrad || !model_.adapters || in_adapter_) {
      operators_.push_back({.name = name, .pass = pass, .work = std::move(work)});
    }
  }
  Precision precision_of(const Linear& linear) const { return linear.precision.value_or(shape_.precision); }
  void linear_gemm(const Linear& linear, Pass pass, Gemm work, Bytes output_traffic);
  // A copy between the formats of the residual stream and of the GEMMs, where these differ.
  void cast(std::string_view name, Pass pass, std::int64_t elements);
  void linear_forward(const Linear& linear, std::int64_t tokens);
  void quantize(const Linear& linear, std::int64_t elements, Pass pass) {
    quantize(precision_of(linear), elements, pass);
  }
  bool has_adapter(const Linear& linear) const;
  bool chunked() const;
  // Bytes of a linear's operand as it travels between ranks.
  Bytes operand_tensor(const Linear& linear, std::int64_t tokens, std::int64_t width) const;
  void adapter_forward(const Linear& linear, std::int64_t tokens);
  void adapter_backward(const Linear& linear, std::int64_t tokens);
  void linear_backward(const Linear& linear, std::int64_t tokens);
  void dgrad(const Linear& linear, std::int64_t tokens);
  void wgrad(const Linear& linear, std::int64_t tokens);
  void bias_gradient(const Linear& linear, std::int64_t tokens);
  void rms_norm_forward_eager(std::string_view name, std::int64_t rows, std::int64_t width);
  void rms_norm_backward_eager(std::string_view name, std::int64_t rows, std::int64_t width);

  const ModelSpec& model_;
  ShardShape shape_;
  const OperatorOptions& options_;
  LayerKind kind_;
  Shard shard_;
  std::int64_t encoder_seq_len_;
  bool in_adapter_ = false;
  std::vector<Operator> operators_;
};

// Parts of a layer that have files of their own.
void core_attention_forward(OperatorList& list);
void core_attention_backward(OperatorList& list);
void context_attention_forward(OperatorList& list);
void context_attention_backward(OperatorList& list);
void latent_projections_forward(OperatorList& list);
void latent_up_forward(OperatorList& list);  // the part that selective recomputation repeats
void latent_projections_backward(OperatorList& list);
void cross_attention_forward(OperatorList& list);
void cross_attention_backward(OperatorList& list);
void experts_forward(OperatorList& list);
void experts_backward(OperatorList& list);
void predicted_tokens_forward(OperatorList& list);
void predicted_tokens_backward(OperatorList& list);
// A dense MLP of `width` on this rank, or the shared experts', with its collectives.
void mlp_forward(OperatorList& list, std::int64_t width);
void mlp_backward(OperatorList& list, std::int64_t width);
void activation_forward(OperatorList& list, std::int64_t rows, std::int64_t width);
void activation_backward(OperatorList& list, std::int64_t rows, std::int64_t width, Presence bias);
void logits_forward(OperatorList& list);  // with the loss
void logits_backward(OperatorList& list);

// Whether Megatron's fused softmax kernels take the scores of a rank: four matrices at a time, rows of 17 to 4096
// numbers of 16 bits. Source: Megatron-LM, megatron/model/fused_softmax.py, is_kernel_available.
bool softmax_is_fused(const ShardShape& shape, const Shard& shard, const OperatorOptions& options);

// The fused attention kernel of one layer on whole sequences.
Attention flash_attention(const OperatorList& list, Direction direction);
void rotary_forward(OperatorList& list);
void rotary_backward(OperatorList& list);

// The encoder sees everything, a decoder beside it is causal, and other models are as they say.
Mask mask_of(const ModelSpec& model, const LayerKind& kind);

constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace trainyard
