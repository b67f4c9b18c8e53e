#include "models/blocks/linear.hpp"

#include <algorithm>
#include <numeric>

namespace trainyard {
namespace {

// Part `index` of `tokens` in `parts` parts that differ by one at most.
std::int64_t part(std::int64_t tokens, std::int64_t parts, std::int64_t index) {
  return tokens / parts + (index < tokens % parts ? 1 : 0);
}

bool has_adapter(const ShardContext& context, const Linear& linear) {
  return context.model().adapters && linear.module && context.model().adapters->has(*linear.module);
}

// Whether anything of it trains, so that its input is needed in the backward pass.
bool needs_input(const ShardContext& context, const Linear& linear) {
  return !context.model().adapters || has_adapter(context, linear);
}

Precision precision_of(const ShardContext& context, const Linear& linear) {
  return linear.precision.value_or(context.shape().precision);
}

// Writes the kernels of one linear.
class Kernels {
 public:
  Kernels(OperatorList& list, const Linear& linear)
      : list_(list), linear_(linear), precision_(precision_of(list, linear)) {}

  void local_forward(std::int64_t tokens);
  void local_backward(std::int64_t tokens);
  void column_forward(std::int64_t tokens);
  void column_backward(std::int64_t tokens);
  void row_forward(std::int64_t tokens);
  void row_backward(std::int64_t tokens);

 private:
  bool has_bias() const { return linear_.bias == Presence::kPresent && linear_.bias_added == BiasAdded::kByLinear; }
  bool bias_in_epilogue() const { return list_.options().linear_bias == Fusion::kOn; }
  bool chunked() const {
    return list_.sequence_parallel() && list_.options().chunked_tensor_collectives == TensorOverlap::kOn;
  }
  CollectiveOp sum() const {
    return list_.sequence_parallel() ? CollectiveOp::kReduceScatter : CollectiveOp::kAllReduce;
  }
  // Bytes of an operand as it travels between ranks.
  Bytes operand_tensor(std::int64_t tokens, std::int64_t width) const {
    const Bytes operand =
        is_narrow(precision_) ? bytes_per_element(precision_) + scale_bytes_per_element(precision_) : list_.element();
    return static_cast<double>(tokens) * static_cast<double>(width) * operand;
  }
  void quantize(std::int64_t elements, Pass pass) { list_.quantize(precision_, elements, pass); }
  void gemm(Pass pass, Gemm work, Bytes output_traffic);
  void gemms_forward(std::int64_t tokens);
  void dgrad(std::int64_t tokens);
  void wgrad(std::int64_t tokens);
  void bias_gradient(std::int64_t tokens);
  void adapter_forward(std::int64_t tokens);
  void adapter_backward(std::int64_t tokens);

  OperatorList& list_;
  const Linear& linear_;
  Precision precision_;
};

// Gemm counts one output element in operand precision; what the output moves beyond that is extra traffic.
void Kernels::gemm(Pass pass, Gemm work, Bytes output_traffic) {
  work.precision = precision_;
  const Bytes extra = max(output_traffic - bytes_per_element(work.precision), Bytes{});
  work.extra_traffic = static_cast<double>(work.m) * static_cast<double>(work.n) * extra;
  list_.gemm(linear_.name, pass, work);
}

void Kernels::gemms_forward(std::int64_t tokens) {
  quantize(tokens * linear_.in, Pass::kForward);
  for (const std::int64_t out : linear_.outputs) {
    list_.cast("cast_weight", Pass::kForward, out * linear_.in);
    gemm(Pass::kForward, {.m = tokens, .n = out, .k = linear_.in}, list_.element());
  }
}

void Kernels::dgrad(std::int64_t tokens) {
  if (linear_.input_gradient == Presence::kAbsent) {
    return;
  }
  for (const std::int64_t out : linear_.outputs) {
    gemm(Pass::kDgrad, {.m = tokens, .n = linear_.in, .k = out}, list_.element());
  }
  // The input of several linears receives the sum of their gradients.
  for (std::size_t i = 1; i < linear_.outputs.size(); ++i) {
    list_.elementwise("input_gradient_add", Pass::kDgrad, tokens * linear_.in, 3.0 * list_.element());
  }
}

void Kernels::wgrad(std::int64_t tokens) {
  const bool buffer = list_.options().gradient_buffer == Presence::kPresent;
  const bool in_epilogue = buffer && list_.options().wgrad_accumulation == Fusion::kOn;
  for (const std::int64_t out : linear_.outputs) {
    // An accumulating epilogue reads and writes the buffer.
    gemm(Pass::kWgrad, {.m = out, .n = linear_.in, .k = tokens},
         in_epilogue ? 2.0 * list_.shape().gradient_element : list_.element());
    list_.cast("cast_weight_gradient", Pass::kWgrad, out * linear_.in);
  }
  if (!in_epilogue) {
    for (const std::int64_t out : linear_.outputs) {
      list_.accumulate_gradient(out * linear_.in);
    }
  }
}

void Kernels::bias_gradient(std::int64_t tokens) {
  if (!has_bias()) {
    return;
  }
  for (const std::int64_t out : linear_.outputs) {
    if (!bias_in_epilogue()) {
      list_.elementwise("bias_gradient", Pass::kWgrad, tokens * out, list_.element());
    }
    list_.accumulate_gradient(out);
  }
}

// y = W x + B A x. Source: arXiv 2106.09685, section 4. On a tensor-parallel rank the adapter of a column-parallel
// linear cuts B as the linear is cut, that of a row-parallel one cuts A, and the other matrix is whole (Hugging Face
// PEFT, src/peft/tuners/lora/tp_layer.py), so that both sum with the linear's own result. What is left out: PEFT
// sums the inner numbers over the ranks, tokens x rank of them, and NeMo cuts both matrices and gathers these numbers.
// Here the gradient of the whole matrix is summed instead, once a step.
void Kernels::adapter_forward(std::int64_t tokens) {
  if (!has_adapter(list_, linear_)) {
    return;
  }
  const std::int64_t rank = list_.model().adapters->rank;
  const std::int64_t out = linear_.out();
  const Precision precision = list_.wide_precision();
  list_.gemm("adapter_down", Pass::kForward, {.m = tokens, .n = rank, .k = linear_.in, .precision = precision});
  list_.gemm("adapter_up", Pass::kForward, {.m = tokens, .n = out, .k = rank, .precision = precision});
  list_.elementwise("adapter_add", Pass::kForward, tokens * out, 3.0 * list_.element());
}

void Kernels::adapter_backward(std::int64_t tokens) {
  if (!has_adapter(list_, linear_)) {
    return;
  }
  const std::int64_t rank = list_.model().adapters->rank;
  const std::int64_t in = linear_.in;
  const std::int64_t out = linear_.out();
  const Precision precision = list_.wide_precision();
  list_.begin_adapter();
  list_.gemm("adapter_up", Pass::kDgrad, {.m = tokens, .n = rank, .k = out, .precision = precision});
  list_.gemm("adapter_up", Pass::kWgrad, {.m = out, .n = rank, .k = tokens, .precision = precision});
  list_.accumulate_gradient(out * rank);
  list_.gemm("adapter_down", Pass::kDgrad, {.m = tokens, .n = in, .k = rank, .precision = precision});
  list_.gemm("adapter_down", Pass::kWgrad, {.m = rank, .n = in, .k = tokens, .precision = precision});
  list_.accumulate_gradient(rank * in);
  list_.elementwise("input_gradient_add", Pass::kDgrad, tokens * in, 3.0 * list_.element());
  list_.end_adapter();
}

void Kernels::local_forward(std::int64_t tokens) {
  gemms_forward(tokens);
  if (has_bias() && !bias_in_epilogue()) {
    for (const std::int64_t out : linear_.outputs) {
      list_.elementwise("bias_add", Pass::kForward, tokens * out, 2.0 * list_.element());
    }
  }
  adapter_forward(tokens);
}

void Kernels::local_backward(std::int64_t tokens) {
  quantize(tokens * linear_.out(), Pass::kDgrad);
  dgrad(tokens);
  wgrad(tokens);
  bias_gradient(tokens);
  adapter_backward(tokens);
}

// Chunked: what each rank has goes round a ring, and the GEMM of one chunk runs beside the exchange of the next.
void Kernels::column_forward(std::int64_t tokens) {
  list_.cast("cast_input", Pass::kForward, tokens * linear_.in);  // the output of a norm
  if (!chunked()) {
    if (list_.sequence_parallel()) {
      list_.collective(CollectiveOp::kAllGather, Pass::kForward, operand_tensor(tokens, linear_.in));
    }
    local_forward(tokens);
    return;
  }
  const std::int64_t ranks = list_.shape().tp;
  for (std::int64_t chunk = 0; chunk < ranks; ++chunk) {
    const bool last = chunk + 1 == ranks;
    if (!last) {
      list_.collective(CollectiveOp::kSendRecv, Pass::kForward,
                       operand_tensor(part(tokens, ranks, chunk + 1), linear_.in));
    }
    const std::size_t begin = list_.begin_beside();
    local_forward(part(tokens, ranks, chunk));
    if (!last) {
      list_.end_beside(begin);
    }
  }
}

void Kernels::column_backward(std::int64_t tokens) {
  const bool overlap = list_.options().async_tensor_collectives == TensorOverlap::kOn || chunked();
  const int gemms = static_cast<int>(linear_.outputs.size());
  quantize(tokens * linear_.out(), Pass::kDgrad);
  if (list_.sequence_parallel() && needs_input(list_, linear_)) {
    // Only the shard of the input is kept: it is gathered again for the weight gradient.
    list_.begin_adapter();
    list_.collective(CollectiveOp::kAllGather, Pass::kWgrad, operand_tensor(tokens, linear_.in));
    list_.end_adapter();
    const std::size_t begin = list_.begin_beside();
    dgrad(tokens);
    if (overlap) {
      list_.end_beside(begin);
    }
  } else {
    dgrad(tokens);
  }
  // The adapter's share of the input's gradient has to be there before the sum over ranks.
  adapter_backward(tokens);
  list_.collective(sum(), Pass::kDgrad, list_.tensor(tokens, linear_.in),
                   overlap && !list_.model().adapters ? gemms : 0);
  wgrad(tokens);
  bias_gradient(tokens);
  list_.cast("cast_input_gradient", Pass::kDgrad, tokens * linear_.in);
}

// Chunked: the GEMM is cut in four, and the sum of one part runs beside the next. Source: Transformer Engine,
// pytorch/module/base.py, the default of num_splits for pipelined reduce-scatter.
void Kernels::row_forward(std::int64_t tokens) {
  if (chunked()) {
    constexpr std::int64_t kSplits = 4;
    std::size_t begin = 0;
    for (std::int64_t split = 0; split < kSplits; ++split) {
      const std::int64_t rows = part(tokens, kSplits, split);
      gemms_forward(rows);
      adapter_forward(rows);
      if (split > 0) {
        list_.end_beside(begin);
      }
      list_.collective(CollectiveOp::kReduceScatter, Pass::kForward, list_.tensor(rows, linear_.out()));
      begin = list_.begin_beside();
    }
  } else {
    gemms_forward(tokens);
    adapter_forward(tokens);
    list_.collective(sum(), Pass::kForward, list_.tensor(tokens, linear_.out()));
  }
  // The bias comes after the sum over ranks; on one rank it can be in the epilogue.
  if (has_bias() && (!bias_in_epilogue() || list_.tensor_parallel())) {
    list_.elementwise("bias_add", Pass::kForward, list_.shard().token_shard * linear_.out(), 2.0 * list_.element());
  }
}

void Kernels::row_backward(std::int64_t tokens) {
  if (chunked()) {
    const std::int64_t ranks = list_.shape().tp;
    for (std::int64_t chunk = 0; chunk < ranks; ++chunk) {
      const bool last = chunk + 1 == ranks;
      if (!last) {
        list_.collective(CollectiveOp::kSendRecv, Pass::kDgrad,
                         operand_tensor(part(tokens, ranks, chunk + 1), linear_.out()));
      }
      const std::size_t begin = list_.begin_beside();
      quantize(part(tokens, ranks, chunk) * linear_.out(), Pass::kDgrad);
      dgrad(part(tokens, ranks, chunk));
      if (!last) {
        list_.end_beside(begin);
      }
    }
  } else {
    if (list_.sequence_parallel()) {
      list_.collective(CollectiveOp::kAllGather, Pass::kDgrad, operand_tensor(tokens, linear_.out()));
    }
    quantize(tokens * linear_.out(), Pass::kDgrad);
    dgrad(tokens);
  }
  wgrad(tokens);
  adapter_backward(tokens);
  if (has_bias()) {
    if (!bias_in_epilogue() || list_.tensor_parallel()) {
      list_.elementwise("bias_gradient", Pass::kWgrad, list_.shard().token_shard * linear_.out(), list_.element());
    }
    list_.accumulate_gradient(linear_.out());
  }
}

void add_weights(Description& description, const Linear& linear, Cut cut, std::int64_t tokens) {
  // Ranks hold a whole weight, and see a part of the tokens.
  const AcrossRanks alike = AcrossRanks::kAlikeOverTokens;
  const std::int64_t matrix = linear.in * linear.out();
  description.weight({.elements = matrix,
                      .multiplied = static_cast<double>(matrix),
                      .tokens = tokens,
                      .across = cut == Cut::kNone ? alike : AcrossRanks::kCut,
                      .rows = linear.out()});
  if (has_adapter(description, linear)) {
    // Behind a cut matrix the inner numbers, and so the gradient of the whole one beside it, are sums over the ranks.
    const auto adapter = [&](std::int64_t width, Cut cut_here) {
      const std::int64_t elements = description.model().adapters->rank * width;
      const AcrossRanks whole = cut == Cut::kNone ? alike : AcrossRanks::kAlikeOverWidth;
      description.weight({.elements = elements,
                          .multiplied = static_cast<double>(elements),
                          .tokens = tokens,
                          .of = WeightOf::kAdapter,
                          .across = cut == cut_here ? AcrossRanks::kCut : whole,
                          .rows = width});
    };
    adapter(linear.in, Cut::kRows);
    adapter(linear.out(), Cut::kColumns);
  }
  if (linear.bias == Presence::kPresent) {
    description.weight({.elements = linear.out(), .across = cut == Cut::kColumns ? AcrossRanks::kCut : alike});
  }
}

}  // namespace

std::int64_t Linear::out() const {
  return std::accumulate(outputs.begin(), outputs.end(), std::int64_t{0});
}

Bytes operand_element(const ShardContext& context) {
  const Precision precision = context.shape().precision;
  return min(context.element(), bytes_per_element(precision) + scale_bytes_per_element(precision));
}

void local_linear_forward(OperatorList& list, const Linear& linear, std::int64_t tokens) {
  Kernels(list, linear).local_forward(tokens);
}

void linear_kernels(Description& description, const Linear& linear, Cut cut, std::int64_t tokens, const Tensor& input) {
  switch (cut) {
    case Cut::kColumns:
      description.step({.forward = [=](OperatorList& list) { Kernels(list, linear).column_forward(tokens); },
                        .backward = [=](OperatorList& list) { Kernels(list, linear).column_backward(tokens); }});
      break;
    case Cut::kRows:
      description.step({.forward = [=](OperatorList& list) { Kernels(list, linear).row_forward(tokens); },
                        .backward = [=](OperatorList& list) { Kernels(list, linear).row_backward(tokens); }});
      break;
    case Cut::kNone:
      description.step({.forward = [=](OperatorList& list) { Kernels(list, linear).local_forward(tokens); },
                        .backward = [=](OperatorList& list) { Kernels(list, linear).local_backward(tokens); }});
      break;
  }
  if (has_adapter(description, linear)) {
    const std::int64_t rank = description.model().adapters->rank;
    const Tensor inner = description.written(linear.adapter_kept, tokens * rank, description.element());
    description.keep_for_weights(input, tokens * rank);
    description.keep_for_weights(inner, tokens * linear.out());
  } else if (needs_input(description, linear)) {
    description.keep_for_weights(input, tokens * linear.out());
  }
}

void linear(Description& description, const Linear& linear, Cut cut, std::int64_t tokens, const Tensor& input) {
  linear_kernels(description, linear, cut, tokens, input);
  add_weights(description, linear, cut, tokens);
}

}  // namespace trainyard
