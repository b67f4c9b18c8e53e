#pragma once
// What the operator tests share: counting over a list.
#include <string>
#include <string_view>
#include <vector>

#include "models/operators.hpp"

namespace trainyard::checks {

inline std::vector<std::string> names(const std::vector<Operator>& list) {
  std::vector<std::string> out;
  for (const Operator& op : list) {
    out.emplace_back(op.name);
  }
  return out;
}

inline int count(const std::vector<Operator>& list, CollectiveOp op) {
  int found = 0;
  for (const Operator& entry : list) {
    const auto* collective = std::get_if<GroupCollective>(&entry.work);
    found += collective != nullptr && collective->op == op ? 1 : 0;
  }
  return found;
}

// Bytes a ring sends per rank over (tp - 1) / tp: an all-reduce moves its size twice, the others once.
inline Bytes ring_volume(const std::vector<Operator>& list) {
  Bytes volume{};
  for (const Operator& entry : list) {
    if (const auto* collective = std::get_if<GroupCollective>(&entry.work)) {
      volume += (collective->op == CollectiveOp::kAllReduce ? 2.0 : 1.0) * collective->size;
    }
  }
  return volume;
}

inline Bytes traffic(const std::vector<Operator>& list, std::string_view name) {
  Bytes total{};
  for (const Operator& entry : list) {
    const auto* kernel = std::get_if<MemoryBound>(&entry.work);
    if (kernel != nullptr && entry.name == name) {
      total += kernel->traffic;
    }
  }
  return total;
}

inline std::vector<Gemm> gemms(const std::vector<Operator>& list, std::string_view name, Pass pass) {
  std::vector<Gemm> out;
  for (const Operator& entry : list) {
    const auto* gemm = std::get_if<Gemm>(&entry.work);
    if (gemm != nullptr && entry.name == name && entry.pass == pass) {
      out.push_back(*gemm);
    }
  }
  return out;
}

// What selective recomputation repeats by default.
inline std::vector<Operator> attention_recompute(const ModelSpec& model, const ShardShape& shape,
                                                 const OperatorOptions& options) {
  return layer_recompute(model, {}, shape, options, Recompute::kSelective);
}

// Megatron-LM of 2021-22.
inline OperatorOptions megatron_2022() {
  return {.attention = AttentionKernel::kUnfusedSoftmaxFused,
          .wgrad_accumulation = Fusion::kOff,
          .linear_bias = Fusion::kOff,
          .async_tensor_collectives = TensorOverlap::kOff};
}

// PyTorch with nothing fused.
inline OperatorOptions eager() {
  return {.attention = AttentionKernel::kUnfused,
          .bias_gelu = Fusion::kOff,
          .bias_dropout_add = Fusion::kOff,
          .norm = Fusion::kOff,
          .rope = Fusion::kOff,
          .cross_entropy = Fusion::kOff,
          .wgrad_accumulation = Fusion::kOff,
          .linear_bias = Fusion::kOff,
          .merged_projections = Fusion::kOff,
          .gradient_buffer = Presence::kAbsent,
          .vocabulary_parallel = Presence::kAbsent,
          .async_tensor_collectives = TensorOverlap::kOff};
}

}  // namespace trainyard::checks
