#include "models/blocks/operator_list.hpp"

namespace trainyard {

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
  if (!is_narrow(precision)) {
    return;
  }
  if (precision == Precision::kNvFp4) {
    elementwise("tensor_maximum", pass, elements, element());
  }
  elementwise("quantize", pass, elements,
              element() + 2.0 * (bytes_per_element(precision) + scale_bytes_per_element(precision)));
}

void OperatorList::cast(std::string_view name, Pass pass, std::int64_t elements) {
  if (is_autocast()) {
    elementwise(name, pass, elements, residual_element() + element());
  }
}

void OperatorList::accumulate_gradient(std::int64_t elements) {
  if (options().gradient_buffer == Presence::kPresent) {
    elementwise("gradient_accumulation", Pass::kWgrad, elements, element() + 2.0 * shape().gradient_element);
  }
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
    } else if (const auto* convolution = std::get_if<Convolution>(&op.work)) {
      total += convolution->flops();
    }
  }
  return total;
}

}  // namespace trainyard
