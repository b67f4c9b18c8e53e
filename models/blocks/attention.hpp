#pragma once
// Attention within one sequence: projections, positions, the core, the output.
#include "models/blocks/description.hpp"

namespace trainyard {

// What core attention reads.
struct AttentionInputs {
  Tensor queries;
  Tensor keys;
  Tensor values;
};

// Projections of `input` to queries, keys and values, with norms and positions: of plain and of latent attention.
AttentionInputs projections(Description& description, const Tensor& input);
AttentionInputs latent_projections(Description& description, const Tensor& input);
// What lies between them and the output projection; with one rank for a sequence, or with several that share it.
Tensor core_attention(Description& description, const AttentionInputs& inputs);
void context_attention(Description& description);
// The output projection of what core attention has written, and the name of what its adapter keeps.
void attention_output(Description& description, std::string_view name, std::string_view adapter_kept,
                      const Tensor& context);

// Whether core attention is one fused kernel. Shared sequences always go through fused kernels.
inline bool is_flash(const ShardContext& context) {
  return context.options().attention == AttentionKernel::kFlash || context.shape().cp > 1;
}
// The fused attention kernel of one layer on whole sequences.
Attention flash_attention(const ShardContext& context, Direction direction);
// Its product of activations, in multiply-adds forward.
double multiply_adds(const Attention& attention);
// Core attention's output, as the output projection reads it: a fused kernel's backward keeps it as it is.
Tensor context_tensor(Description& description, std::string_view name, std::string_view operand_name);

}  // namespace trainyard
