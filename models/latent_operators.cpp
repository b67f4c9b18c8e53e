// Projections of multi-head latent attention, as trained: keys and values are expanded, nothing is absorbed.
// The down-projections are the same on every tensor-parallel rank, each on its own tokens where the sequence is cut.
// Source: DeepSeek-V2, arXiv 2405.04434, section 2.1; Megatron-LM core/transformer/multi_latent_attention.py.
#include "models/operator_list.hpp"

namespace trainyard {
namespace {

const LatentAttention& latent(const OperatorList& list) {
  return *list.model().latent;
}

Linear query_down(const OperatorList& list) {
  return {.name = "query_down", .in = list.model().hidden, .outputs = {latent(list).query_rank}};
}

Linear query_up(const OperatorList& list) {
  const std::int64_t rank = latent(list).query_rank;
  return {.name = rank > 0 ? "query_up" : "query",
          .in = rank > 0 ? rank : list.model().hidden,
          .outputs = {list.shard().query_width}};
}

Linear key_value_down(const OperatorList& list) {
  return {.name = "key_value_down",
          .in = list.model().hidden,
          .outputs = {latent(list).key_value_rank + latent(list).rotary_dim}};
}

Linear key_value_up(const OperatorList& list) {
  return {.name = "key_value_up",
          .in = latent(list).key_value_rank,
          .outputs = {list.shard().heads * (latent(list).plain_dim + latent(list).value_dim)}};
}

// Fused: rotates the queries' last part in place, and writes keys (with the rotated part that all heads share) and
// values apart from one another. Unfused: the rotation's statements, and concatenations of queries and of keys.
void rotate(OperatorList& list, Pass pass) {
  const Bytes e = list.element();
  const std::int64_t tokens = list.shard().tokens;
  const std::int64_t heads = list.shard().heads;
  const std::int64_t rotary = tokens * (heads + 1) * latent(list).rotary_dim;
  const std::int64_t expanded = tokens * heads * (latent(list).plain_dim + latent(list).value_dim);
  const std::int64_t keys = tokens * list.shard().query_width;
  const std::int64_t values = tokens * list.shard().context_width;
  if (list.options().rope_latent == Fusion::kOn) {
    list.elementwise("latent_rotary", pass, tokens * heads * latent(list).rotary_dim, 2.0 * e);
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

}  // namespace

void latent_up_forward(OperatorList& list) {
  if (latent(list).query_rank > 0) {
    list.column_forward(query_up(list));
  }
  list.column_forward(key_value_up(list));
  rotate(list, Pass::kForward);
}

void latent_projections_forward(OperatorList& list) {
  const std::int64_t rows = list.shard().token_shard;
  if (latent(list).query_rank > 0) {
    list.local_forward(query_down(list), rows);
    list.norm_forward("query_norm", rows, latent(list).query_rank);
  } else {
    list.column_forward(query_up(list));
  }
  list.local_forward(key_value_down(list), rows);
  list.norm_forward("key_value_norm", rows, latent(list).key_value_rank);
  latent_up_forward(list);
}

void latent_projections_backward(OperatorList& list) {
  const std::int64_t rows = list.shard().token_shard;
  rotate(list, Pass::kDgrad);
  list.column_backward(key_value_up(list));
  list.norm_backward("key_value_norm", rows, latent(list).key_value_rank);
  list.local_backward(key_value_down(list), rows);
  list.column_backward(query_up(list));
  if (latent(list).query_rank > 0) {
    list.norm_backward("query_norm", rows, latent(list).query_rank);
    list.local_backward(query_down(list), rows);
  }
  // Queries and keys start from the same input.
  list.elementwise("input_gradient_add", Pass::kDgrad, rows * list.model().hidden, 3.0 * list.element());
}

}  // namespace trainyard
