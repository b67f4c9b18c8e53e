#include "models/operator_list.hpp"

#include <algorithm>
#include <numeric>

namespace trainyard {
namespace {

bool narrow(Precision precision) {
  return bytes_per_element(precision) < bytes_per_element(Precision::kBf16);
}

}  // namespace

ShardShape shape_of(const ModelSpec& model, const LayerKind& kind, ShardShape shape) {
  if (kind.stack == Stack::kDecoder) {
    shape.seq_len = model.decoder_seq_len;
  }
  return shape;
}

std::int64_t Linear::out() const {
  return std::accumulate(outputs.begin(), outputs.end(), std::int64_t{0});
}

Precision OperatorList::wide_precision() const {
  return narrow(shape_.precision) ? Precision::kBf16 : shape_.precision;
}

void OperatorList::elementwise(std::string_view name, Pass pass, std::int64_t elements, Bytes bytes_per_element) {
  add(name, pass, MemoryBound{static_cast<double>(elements) * bytes_per_element});
}

void OperatorList::small(std::string_view name, Pass pass, std::int64_t elements, int launches) {
  constexpr Bytes kReadAndWrite{8.0};
  for (int i = 0; i < launches; ++i) {
    elementwise(name, pass, elements, kReadAndWrite);
  }
}

void OperatorList::collective(CollectiveOp op, Pass pass, Bytes size, int overlapped_operators) {
  if (!tensor_parallel()) {
    return;
  }
  const std::string_view name = op == CollectiveOp::kAllReduce       ? "tp_all_reduce"
                                : op == CollectiveOp::kReduceScatter ? "tp_reduce_scatter"
                                : op == CollectiveOp::kSendRecv      ? "tp_exchange"
                                                                     : "tp_all_gather";
  collective(ParallelGroup::kTensor, name, op, pass, size, overlapped_operators);
}

void OperatorList::collective(ParallelGroup group, std::string_view name, CollectiveOp op, Pass pass, Bytes size,
                              int overlapped_operators) {
  add(name, pass,
      GroupCollective{.group = group, .op = op, .size = size, .overlapped_operators = overlapped_operators});
}

void OperatorList::end_beside(std::size_t begin) {
  auto& collective = std::get<GroupCollective>(operators_.at(begin - 1).work);
  collective.overlapped_operators = static_cast<int>(operators_.size() - begin);
}

// The operand is read in 16 bits and written once as it is and once transposed, for the two GEMMs that take it, with
// the scales of its blocks. nvfp4 scales its blocks relative to the tensor's maximum, which takes a pass before; scales
// per tensor are those of earlier steps. Source: Transformer Engine's cast-transpose kernels and quantizers.
void OperatorList::quantize(Precision precision, std::int64_t elements, Pass pass) {
  if (!narrow(precision)) {
    return;
  }
  if (precision == Precision::kNvFp4) {
    elementwise("tensor_maximum", pass, elements, element());
  }
  elementwise("quantize", pass, elements,
              element() + 2.0 * (bytes_per_element(precision) + scale_bytes_per_element(precision)));
}

void OperatorList::cast(std::string_view name, Pass pass, std::int64_t elements) {
  if (is_autocast(shape_)) {
    elementwise(name, pass, elements, residual_element() + element());
  }
}

void OperatorList::append(std::vector<Operator> operators) {
  operators_.insert(operators_.end(), std::make_move_iterator(operators.begin()),
                    std::make_move_iterator(operators.end()));
}

bool OperatorList::has_adapter(const Linear& linear) const {
  return model_.adapters && linear.module && model_.adapters->has(*linear.module);
}

bool OperatorList::chunked() const {
  return sequence_parallel() && options_.chunked_tensor_collectives == TensorOverlap::kOn;
}

Bytes OperatorList::operand_tensor(const Linear& linear, std::int64_t tokens, std::int64_t width) const {
  const Precision precision = precision_of(linear);
  const Bytes operand =
      narrow(precision) ? bytes_per_element(precision) + scale_bytes_per_element(precision) : element();
  return static_cast<double>(tokens) * static_cast<double>(width) * operand;
}

// Gemm counts one output element in operand precision; what the output moves beyond that is extra traffic.
void OperatorList::linear_gemm(const Linear& linear, Pass pass, Gemm work, Bytes output_traffic) {
  work.precision = precision_of(linear);
  const Bytes extra = max(output_traffic - bytes_per_element(work.precision), Bytes{});
  work.extra_traffic = static_cast<double>(work.m) * static_cast<double>(work.n) * extra;
  add(linear.name, pass, work);
}

void OperatorList::linear_forward(const Linear& linear, std::int64_t tokens) {
  quantize(linear, tokens * linear.in, Pass::kForward);
  for (const std::int64_t out : linear.outputs) {
    cast("cast_weight", Pass::kForward, out * linear.in);
    linear_gemm(linear, Pass::kForward, {.m = tokens, .n = out, .k = linear.in}, element());
  }
}

void OperatorList::dgrad(const Linear& linear, std::int64_t tokens) {
  for (const std::int64_t out : linear.outputs) {
    linear_gemm(linear, Pass::kDgrad, {.m = tokens, .n = linear.in, .k = out}, element());
  }
  // The input of several linears receives the sum of their gradients.
  for (std::size_t i = 1; i < linear.outputs.size(); ++i) {
    elementwise("input_gradient_add", Pass::kDgrad, tokens * linear.in, 3.0 * element());
  }
}

void OperatorList::wgrad(const Linear& linear, std::int64_t tokens) {
  const bool buffer = options_.gradient_buffer == Presence::kPresent;
  const bool in_epilogue = buffer && options_.wgrad_accumulation == Fusion::kOn;
  for (const std::int64_t out : linear.outputs) {
    // An accumulating epilogue reads and writes the buffer.
    linear_gemm(linear, Pass::kWgrad, {.m = out, .n = linear.in, .k = tokens},
                in_epilogue ? 2.0 * shape_.gradient_element : element());
    cast("cast_weight_gradient", Pass::kWgrad, out * linear.in);
  }
  if (!in_epilogue) {
    for (const std::int64_t out : linear.outputs) {
      accumulate_gradient(out * linear.in);
    }
  }
}

void OperatorList::bias_gradient(const Linear& linear, std::int64_t tokens) {
  if (linear.bias == Presence::kAbsent) {
    return;
  }
  for (const std::int64_t out : linear.outputs) {
    if (options_.linear_bias == Fusion::kOff) {
      elementwise("bias_gradient", Pass::kWgrad, tokens * out, element());
    }
    accumulate_gradient(out);
  }
}

void OperatorList::accumulate_gradient(std::int64_t elements) {
  if (options_.gradient_buffer == Presence::kPresent) {
    elementwise("gradient_accumulation", Pass::kWgrad, elements, element() + 2.0 * shape_.gradient_element);
  }
}

void OperatorList::local_forward(const Linear& linear, std::int64_t tokens) {
  linear_forward(linear, tokens);
  if (linear.bias == Presence::kPresent && options_.linear_bias == Fusion::kOff) {
    for (const std::int64_t out : linear.outputs) {
      elementwise("bias_add", Pass::kForward, tokens * out, 2.0 * element());
    }
  }
  adapter_forward(linear, tokens);
}

void OperatorList::local_backward(const Linear& linear, std::int64_t tokens) {
  quantize(linear, tokens * linear.out(), Pass::kDgrad);
  linear_backward(linear, tokens);
}

void OperatorList::linear_backward(const Linear& linear, std::int64_t tokens) {
  dgrad(linear, tokens);
  wgrad(linear, tokens);
  bias_gradient(linear, tokens);
  adapter_backward(linear, tokens);
}

// y = W x + B A x. Source: arXiv 2106.09685, section 4. On a tensor-parallel rank the adapter of a column-parallel
// linear cuts B as the linear is cut, that of a row-parallel one cuts A, so that both sum with the linear's own result.
void OperatorList::adapter_forward(const Linear& linear, std::int64_t tokens) {
  if (!has_adapter(linear)) {
    return;
  }
  const std::int64_t rank = model_.adapters->rank;
  const Precision precision = wide_precision();
  gemm("adapter_down", Pass::kForward, {.m = tokens, .n = rank, .k = linear.in, .precision = precision});
  gemm("adapter_up", Pass::kForward, {.m = tokens, .n = linear.out(), .k = rank, .precision = precision});
  elementwise("adapter_add", Pass::kForward, tokens * linear.out(), 3.0 * element());
}

void OperatorList::adapter_backward(const Linear& linear, std::int64_t tokens) {
  if (!has_adapter(linear)) {
    return;
  }
  const std::int64_t rank = model_.adapters->rank;
  const std::int64_t out = linear.out();
  const Precision precision = wide_precision();
  in_adapter_ = true;
  gemm("adapter_up", Pass::kDgrad, {.m = tokens, .n = rank, .k = out, .precision = precision});
  gemm("adapter_up", Pass::kWgrad, {.m = out, .n = rank, .k = tokens, .precision = precision});
  accumulate_gradient(out * rank);
  gemm("adapter_down", Pass::kDgrad, {.m = tokens, .n = linear.in, .k = rank, .precision = precision});
  gemm("adapter_down", Pass::kWgrad, {.m = rank, .n = linear.in, .k = tokens, .precision = precision});
  accumulate_gradient(rank * linear.in);
  elementwise("input_gradient_add", Pass::kDgrad, tokens * linear.in, 3.0 * element());
  in_adapter_ = false;
}

namespace {

// Part `index` of `tokens` in `parts` parts that differ by one at most.
std::int64_t part(std::int64_t tokens, std::int64_t parts, std::int64_t index) {
  return tokens / parts + (index < tokens % parts ? 1 : 0);
}

}  // namespace

// Chunked: what each rank has goes round a ring, and the GEMM of one chunk runs beside the exchange of the next.
void OperatorList::column_forward(const Linear& linear, std::int64_t tokens) {
  cast("cast_input", Pass::kForward, tokens * linear.in);  // the output of a norm
  if (!chunked()) {
    if (sequence_parallel()) {
      collective(CollectiveOp::kAllGather, Pass::kForward, operand_tensor(linear, tokens, linear.in));
    }
    local_forward(linear, tokens);
    return;
  }
  const std::int64_t ranks = shape_.tp;
  for (std::int64_t chunk = 0; chunk < ranks; ++chunk) {
    const bool last = chunk + 1 == ranks;
    if (!last) {
      collective(CollectiveOp::kSendRecv, Pass::kForward,
                 operand_tensor(linear, part(tokens, ranks, chunk + 1), linear.in));
    }
    const std::size_t begin = begin_beside();
    local_forward(linear, part(tokens, ranks, chunk));
    if (!last) {
      end_beside(begin);
    }
  }
}

void OperatorList::column_backward(const Linear& linear, std::int64_t tokens) {
  const bool overlap = options_.async_tensor_collectives == TensorOverlap::kOn || chunked();
  const int gemms = static_cast<int>(linear.outputs.size());
  quantize(linear, tokens * linear.out(), Pass::kDgrad);
  const bool needs_input = !model_.adapters || has_adapter(linear);
  if (sequence_parallel() && needs_input) {
    // Only the shard of the input is kept: it is gathered again for the weight gradient.
    in_adapter_ = true;
    collective(CollectiveOp::kAllGather, Pass::kWgrad, operand_tensor(linear, tokens, linear.in));
    in_adapter_ = false;
    const std::size_t begin = begin_beside();
    dgrad(linear, tokens);
    if (overlap) {
      end_beside(begin);
    }
  } else {
    dgrad(linear, tokens);
  }
  // The adapter's share of the input's gradient has to be there before the sum over ranks.
  adapter_backward(linear, tokens);
  collective(sequence_parallel() ? CollectiveOp::kReduceScatter : CollectiveOp::kAllReduce, Pass::kDgrad,
             tensor(tokens, linear.in), overlap && !model_.adapters ? gemms : 0);
  wgrad(linear, tokens);
  bias_gradient(linear, tokens);
  cast("cast_input_gradient", Pass::kDgrad, tokens * linear.in);
}

// Chunked: the GEMM is cut in four, and the sum of one part runs beside the next. Source: Transformer Engine,
// pytorch/module/base.py, the default of num_splits for pipelined reduce-scatter.
void OperatorList::row_forward(const Linear& linear) {
  const std::int64_t tokens = shard_.tokens;
  if (chunked()) {
    constexpr std::int64_t kSplits = 4;
    std::size_t begin = 0;
    for (std::int64_t split = 0; split < kSplits; ++split) {
      const std::int64_t rows = part(tokens, kSplits, split);
      linear_forward(linear, rows);
      adapter_forward(linear, rows);
      if (split > 0) {
        end_beside(begin);
      }
      collective(CollectiveOp::kReduceScatter, Pass::kForward, tensor(rows, model_.hidden));
      begin = begin_beside();
    }
  } else {
    linear_forward(linear, tokens);
    adapter_forward(linear, tokens);
    collective(sequence_parallel() ? CollectiveOp::kReduceScatter : CollectiveOp::kAllReduce, Pass::kForward,
               hidden_tensor());
  }
  // The bias comes after the sum over ranks; on one rank it can be in the epilogue.
  if (linear.bias == Presence::kPresent && (options_.linear_bias == Fusion::kOff || tensor_parallel())) {
    elementwise("bias_add", Pass::kForward, shard_.token_shard * linear.out(), 2.0 * element());
  }
}

void OperatorList::row_backward(const Linear& linear) {
  const std::int64_t tokens = shard_.tokens;
  if (chunked()) {
    const std::int64_t ranks = shape_.tp;
    for (std::int64_t chunk = 0; chunk < ranks; ++chunk) {
      const bool last = chunk + 1 == ranks;
      if (!last) {
        collective(CollectiveOp::kSendRecv, Pass::kDgrad,
                   operand_tensor(linear, part(tokens, ranks, chunk + 1), linear.out()));
      }
      const std::size_t begin = begin_beside();
      quantize(linear, part(tokens, ranks, chunk) * linear.out(), Pass::kDgrad);
      dgrad(linear, part(tokens, ranks, chunk));
      if (!last) {
        end_beside(begin);
      }
    }
  } else {
    if (sequence_parallel()) {
      collective(CollectiveOp::kAllGather, Pass::kDgrad, operand_tensor(linear, tokens, linear.out()));
    }
    quantize(linear, tokens * linear.out(), Pass::kDgrad);
    dgrad(linear, tokens);
  }
  wgrad(linear, tokens);
  adapter_backward(linear, tokens);
  if (linear.bias == Presence::kPresent) {
    if (options_.linear_bias == Fusion::kOff || tensor_parallel()) {
      elementwise("bias_gradient", Pass::kWgrad, shard_.token_shard * linear.out(), element());
    }
    accumulate_gradient(linear.out());
  }
}

void OperatorList::bias_dropout_add_forward(Presence bias) {
  const std::int64_t elements = shard_.token_shard * model_.hidden;
  const Bytes mask = dropout() ? Bytes{1.0} : Bytes{};
  if (options_.bias_dropout_add == Fusion::kOn) {
    const bool only_residual = bias == Presence::kAbsent && !dropout();
    elementwise(only_residual ? "residual_add" : "bias_dropout_add", Pass::kForward, elements,
                2.0 * residual_element() + element() + mask);
    return;
  }
  if (dropout()) {
    elementwise("dropout", Pass::kForward, elements, 2.0 * element() + mask);
  }
  elementwise("residual_add", Pass::kForward, elements, 2.0 * residual_element() + element());
}

void OperatorList::bias_dropout_add_backward(Presence bias) {
  const std::int64_t elements = shard_.token_shard * model_.hidden;
  cast("cast_gradient", Pass::kDgrad, elements);  // from the residual stream to the branch
  if (dropout()) {
    elementwise("dropout_backward", Pass::kDgrad, elements, 2.0 * element() + Bytes{1.0});
  }
  // Autograd reduces the gradient of the bias that the fused kernel added.
  if (bias == Presence::kPresent && options_.bias_dropout_add == Fusion::kOn) {
    elementwise("bias_gradient", Pass::kWgrad, elements, element());
    accumulate_gradient(model_.hidden);
  }
}

void OperatorList::residual_gradient_add() {
  elementwise("residual_gradient_add", Pass::kDgrad, shard_.token_shard * model_.hidden, 3.0 * residual_element());
}

Flops executed_flops(std::span<const Operator> operators) {
  Flops total{};
  for (const Operator& op : operators) {
    if (const auto* gemm = std::get_if<Gemm>(&op.work)) {
      total += gemm->flops();
    } else if (const auto* grouped = std::get_if<GroupedGemm>(&op.work)) {
      total += grouped->flops();
    } else if (const auto* attention = std::get_if<Attention>(&op.work)) {
      total += attention->flops();
    }
  }
  return total;
}

}  // namespace trainyard
