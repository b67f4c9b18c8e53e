// Projections of multi-head latent attention, as trained: keys and values are expanded, nothing is absorbed.
// The down-projections are the same on every tensor-parallel rank, each on its own tokens where the sequence is cut.
// Source: DeepSeek-V2, arXiv 2405.04434, section 2.1; Megatron-LM core/transformer/multi_latent_attention.py.
#include <optional>

#include "models/blocks/attention.hpp"
#include "models/blocks/linear.hpp"
#include "models/blocks/norm.hpp"

namespace trainyard {
namespace {

// Fused: rotates the queries' last part in place, and writes keys (with the rotated part that all heads share) and
// values apart from one another. Unfused: the rotation's statements, and concatenations of queries and of keys.
void rotate(OperatorList& list, const LatentAttention& latent, Pass pass) {
  const Bytes e = list.element();
  const std::int64_t tokens = list.shard().tokens;
  const std::int64_t heads = list.shard().heads;
  const std::int64_t rotary = tokens * (heads + 1) * latent.rotary_dim;
  const std::int64_t expanded = tokens * heads * (latent.plain_dim + latent.value_dim);
  const std::int64_t keys = tokens * list.shard().query_width;
  const std::int64_t values = tokens * list.shard().context_width;
  if (list.options().rope_latent == Fusion::kOn) {
    list.elementwise("latent_rotary", pass, tokens * heads * latent.rotary_dim, 2.0 * e);
    list.elementwise("latent_key_value", pass, expanded + keys + values, e);
    return;
  }
  constexpr double kStatements = 10.0;  // elements moved by x cos + rotate_half(x) sin, as for plain rotary positions
  constexpr int kLaunches = 5;
  for (int i = 0; i < kLaunches; ++i) {
    list.elementwise("rotary", pass, rotary, kStatements / kLaunches * e);
  }
  list.elementwise("query_concat", pass, keys, 2.0 * e);
  list.elementwise("key_concat", pass, keys, 2.0 * e);
  list.elementwise("value_copy", pass, values, 2.0 * e);
}

// Queries and keys start from the same input.
void start_both(Description& description) {
  description.step({.forward = {}, .backward = [](OperatorList& list) {
                      list.elementwise("input_gradient_add", Pass::kDgrad, list.hidden_shard(), 3.0 * list.element());
                    }});
}

// A projection to `rank` numbers, and from `plain` more that pass beside it; a norm of the first. What it returns is
// the norm's output.
struct Down {
  std::string_view name;
  std::string_view norm;
  std::string_view norm_input;
  std::string_view output;
  std::int64_t rank = 0;
  std::int64_t beside = 0;
};

Tensor down(Description& description, const Down& down, const Tensor& input) {
  const std::int64_t rows = description.shard().token_shard;
  const std::int64_t width = down.rank + down.beside;
  linear(description, {.name = down.name, .in = description.model().hidden, .outputs = {width}}, Cut::kNone, rows,
         input);
  norm(description, {.name = down.norm, .rows = rows, .width = down.rank},
       description.written(down.norm_input, rows * width, description.element()));
  return description.written(down.output, rows * down.rank, operand_element(description));
}

}  // namespace

AttentionInputs latent_projections(Description& description, const Tensor& input) {
  const LatentAttention& latent = *description.model().latent;
  const Shard& shard = description.shard();
  const auto up = [&](std::string_view name, std::int64_t in, std::int64_t out, const Tensor& from) {
    linear(description, {.name = name, .in = in, .outputs = {out}}, Cut::kColumns, shard.tokens, from);
  };
  start_both(description);
  std::optional<Tensor> query_rank;
  if (latent.query_rank > 0) {
    query_rank = down(description,
                      {.name = "query_down",
                       .norm = "query_norm",
                       .norm_input = "query_norm_input",
                       .output = "query_up_input",
                       .rank = latent.query_rank},
                      input);
  } else {
    up("query", description.model().hidden, shard.query_width, input);
  }
  const std::size_t key_value_down = description.steps();
  const Tensor key_value_rank = down(description,
                                     {.name = "key_value_down",
                                      .norm = "key_value_norm",
                                      .norm_input = "key_value_norm_input",
                                      .output = "key_value_up_input",
                                      .rank = latent.key_value_rank,
                                      .beside = latent.rotary_dim},
                                     input);
  const auto scope = description.repeated_by(RecomputeModule::kLatentUp);
  if (query_rank) {
    // Autograd walks the way of keys and values to its end before that of the queries.
    const std::size_t query_up = description.steps();
    up("query_up", latent.query_rank, shard.query_width, *query_rank);
    description.backward_after(query_up, key_value_down);
  }
  up("key_value_up", latent.key_value_rank, shard.heads * (latent.plain_dim + latent.value_dim), key_value_rank);
  description.step({.forward = [=](OperatorList& list) { rotate(list, latent, Pass::kForward); },
                    .backward = [=](OperatorList& list) { rotate(list, latent, Pass::kDgrad); }});
  const Bytes e = description.element();
  return {.queries = description.written("queries", shard.tokens * shard.query_width, e),
          .keys = description.written("keys", shard.tokens * shard.query_width, e),
          .values = description.written("values", shard.tokens * shard.context_width, e)};
}

}  // namespace trainyard
