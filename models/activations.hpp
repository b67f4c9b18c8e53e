#pragma once
// Bytes that the forward pass keeps for the backward pass, term by term, for one micro-batch on one rank.
//
// Source: Korthikanti et al., arXiv 2205.05198, sections 4.1 to 4.3 and 5, generalised to grouped queries, gated MLPs,
// eager kernels and narrow operands. As there, what is one number per token (statistics of norms, token indices) is
// left out, and so are buffers that die within a kernel sequence.
#include <string_view>
#include <vector>

#include "models/model.hpp"
#include "models/operators.hpp"

namespace trainyard {

struct ActivationTerm {
  std::string_view name;  // a string literal: "attention_norm_input", "softmax_output", ...
  Bytes bytes{};
};

Bytes total_bytes(const std::vector<ActivationTerm>& terms);

// One transformer layer of a kind. Selective recomputation of core attention keeps nothing of it but its inputs and its
// output; full recomputation keeps the layer's input.
std::vector<ActivationTerm> activation_bytes(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape,
                                             const OperatorOptions& options, const RecomputePlan& recompute);
// What one layer keeps of one micro-batch between a split backward pass's gradients of inputs and of weights: operands
// of the weight-gradient GEMMs, the linears' inputs as the forward pass keeps them (with sequence parallelism a shard,
// which is gathered again in the second half) and their outputs' gradients. 32 s b h for GPT, arXiv 2401.10241,
// section 3.
Bytes weight_gradient_bytes(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape,
                            const OperatorOptions& options);
// Of the first stage, beside its layers.
std::vector<ActivationTerm> embedding_activation_bytes(const ModelSpec& model, const ShardShape& shape,
                                                       const OperatorOptions& options);
// Of the last stage, beside its layers. The term "logits" is the operand-precision copy that the caller of the loss
// still holds; the paper does not count it, an allocator does.
std::vector<ActivationTerm> head_activation_bytes(const ModelSpec& model, const ShardShape& shape,
                                                  const OperatorOptions& options);

}  // namespace trainyard
