// Projections of plain attention with their norms and rotary positions, and the output projection.
#include "models/blocks/attention.hpp"

#include "models/blocks/blocks.hpp"
#include "models/blocks/linear.hpp"
#include "models/blocks/norm.hpp"
#include "models/blocks/residual.hpp"

namespace trainyard {
namespace {

Linear qkv(const ShardContext& context) {
  const Shard& shard = context.shard();
  const bool merged = context.options().merged_projections == Fusion::kOn;
  return {.name = "qkv",
          .in = context.model().hidden,
          .outputs = merged ? std::vector{shard.qkv_width()}
                            : std::vector{shard.query_width, shard.key_value_width, shard.key_value_width},
          .bias = context.model().qkv_bias,
          .module = Module::kQkv,
          .adapter_kept = "qkv_adapter"};
}

// Queries, keys and values are views of the merged tensor; their gradients go back into one tensor.
void split_qkv(Description& description) {
  if (description.options().merged_projections == Fusion::kOn) {
    description.step({.forward = {}, .backward = [](OperatorList& list) {
                        list.elementwise("qkv_gradient_concat", Pass::kDgrad,
                                         list.shard().tokens * list.shard().qkv_width(), 2.0 * list.element());
                      }});
  }
}

// Norms of queries and keys, over each head or over all.
void query_key_norms(Description& description) {
  if (description.model().query_key_norm == Presence::kAbsent) {
    return;
  }
  const Shard& shard = description.shard();
  const bool per_head = description.model().query_key_norm_span == NormSpan::kHead;
  const auto add = [&](std::string_view name, std::string_view kept, std::int64_t width, std::int64_t heads) {
    const std::int64_t norms = per_head ? heads : 1;  // of a token
    norm(description,
         {.name = name,
          .rows = shard.tokens * norms,
          .width = width / norms,
          .across = per_head ? AcrossRanks::kAlikeOverWidth : AcrossRanks::kCut},
         description.written(kept, shard.tokens * width, description.element()));
  };
  add("query_norm", "query_norm_input", shard.query_width, shard.heads);
  add("key_norm", "key_norm_input", shard.key_value_width, shard.kv_heads);
}

void rotate_forward(OperatorList& list, std::int64_t elements) {
  const Bytes e = list.element();
  if (list.options().rope == Fusion::kOn) {
    list.elementwise("rotary", Pass::kForward, elements, 2.0 * e);
    return;
  }
  // x cos + rotate_half(x) sin, statement by statement.
  list.elementwise("rotary", Pass::kForward, elements, 2.0 * e);  // x cos
  list.elementwise("rotary", Pass::kForward, elements, e);        // minus the upper half
  list.elementwise("rotary", Pass::kForward, elements, 2.0 * e);  // concatenate the halves
  list.elementwise("rotary", Pass::kForward, elements, 2.0 * e);  // times sin
  list.elementwise("rotary", Pass::kForward, elements, 3.0 * e);  // sum
}

void rotate_backward(OperatorList& list, std::int64_t elements) {
  const Bytes e = list.element();
  if (list.options().rope == Fusion::kOn) {
    list.elementwise("rotary", Pass::kDgrad, elements, 2.0 * e);
    return;
  }
  list.elementwise("rotary", Pass::kDgrad, elements, 2.0 * e);  // times sin
  list.elementwise("rotary", Pass::kDgrad, elements, e);        // minus one half
  for (int half = 0; half < 2; ++half) {                        // a half's gradient in a tensor of zeros
    list.elementwise("rotary", Pass::kDgrad, elements, e);
    list.elementwise("rotary", Pass::kDgrad, elements, e);
  }
  list.elementwise("rotary", Pass::kDgrad, elements, 3.0 * e);  // sum of the halves
  list.elementwise("rotary", Pass::kDgrad, elements, 2.0 * e);  // times cos
  list.elementwise("rotary", Pass::kDgrad, elements, 3.0 * e);  // sum
}

// Of queries and keys, one after the other in both directions.
void rotary_positions(Description& description) {
  if (description.model().positions != Positions::kRotary) {
    return;
  }
  const std::int64_t queries = description.shard().tokens * description.shard().query_width;
  const std::int64_t keys = description.shard().tokens * description.shard().key_value_width;
  description.step({.forward =
                        [=](OperatorList& list) {
                          rotate_forward(list, queries);
                          rotate_forward(list, keys);
                        },
                    .backward =
                        [=](OperatorList& list) {
                          rotate_backward(list, queries);
                          rotate_backward(list, keys);
                        }});
}

}  // namespace

AttentionInputs projections(Description& description, const Tensor& input) {
  const Shard& shard = description.shard();
  linear(description, qkv(description), Cut::kColumns, shard.tokens, input);
  split_qkv(description);
  query_key_norms(description);
  rotary_positions(description);
  const Bytes e = description.element();
  return {.queries = description.written("queries", shard.tokens * shard.query_width, e),
          .keys = description.written("keys", shard.tokens * shard.key_value_width, e),
          .values = description.written("values", shard.tokens * shard.key_value_width, e)};
}

void attention_output(Description& description, std::string_view name, std::string_view adapter_kept,
                      const Tensor& context) {
  linear(description,
         {.name = name,
          .in = description.shard().context_width,
          .outputs = {description.model().hidden},
          .bias = description.model().output_bias(),
          .bias_added = bias_added_after_row(description),
          .module = Module::kAttentionOutput,
          .adapter_kept = adapter_kept},
         Cut::kRows, description.shard().tokens, context);
}

Presence attention(Description& description, const Tensor& input) {
  const AttentionInputs inputs =
      description.model().latent ? latent_projections(description, input) : projections(description, input);
  attention_output(description, "attention_output", "attention_output_adapter", core_attention(description, inputs));
  return description.model().output_bias();
}

}  // namespace trainyard
