// Recommendation models: tables that ranks share out, and products of their vectors. Source: Naumov et al., "Deep
// learning recommendation model for personalization and recommendation systems", arXiv 1906.00091, sections 2 and 3.
#include "models/blocks/network_values.hpp"

namespace trainyard {

// Ranks (ep of them) hold whole tables, as evenly as can be, look up for the samples of all and exchange: indices on
// the way there, vectors on the way back, gradients once more. Rows that were read are updated by the kernel that adds
// up their gradients, with SGD: read and written in the parameters' format. Source: FBGEMM, table-batched embeddings
// with a fused optimizer (fbgemm_gpu/docs/src/fbgemm_gpu/overview); torchrec, distributed/embedding_sharding.py.
void tables(Description& description, const NetworkLayer& layer) {
  constexpr Bytes kIndex{8.0};
  constexpr int kSortLaunches = 5;
  const ShardShape& shape = description.shape();
  const std::int64_t channels = layer.out.channels;
  const std::int64_t vectors = shape.micro_batch * layer.tables;  // of this rank's samples, and by this rank for all
  const std::int64_t read = vectors * layer.lookups;              // rows
  const Bytes parameter = shape.parameter_element;
  const auto exchange = [ranks = shape.ep](OperatorList& list, std::string_view name, Pass pass, Bytes bytes) {
    if (ranks > 1) {
      list.collective(ParallelGroup::kExpert, name, CollectiveOp::kAllToAll, pass, bytes);
    }
  };
  const std::int64_t dense = shape.micro_batch * channels;  // what the vectors stand beside
  description.step(
      {.forward =
           [=](OperatorList& list) {
             exchange(list, "table_indices", Pass::kForward, static_cast<double>(read) * kIndex);
             list.memory_bound(
                 "table_lookup", Pass::kForward,
                 {.traffic = static_cast<double>(read) * (static_cast<double>(channels) * parameter + kIndex) +
                             static_cast<double>(vectors * channels) * list.element()});
             exchange(list, "table_vectors", Pass::kForward, static_cast<double>(vectors * channels) * list.element());
             list.elementwise("table_concat", Pass::kForward, dense + vectors * channels, 2.0 * list.element());
           },
       .backward =
           [=](OperatorList& list) {
             list.elementwise("table_split", Pass::kDgrad, dense + vectors * channels, 2.0 * list.element());
             exchange(list, "table_gradients", Pass::kWgrad, static_cast<double>(vectors * channels) * list.element());
             list.small("table_index_sort", Pass::kWgrad, read, kSortLaunches);
             list.memory_bound("table_update", Pass::kWgrad,
                               {.traffic = static_cast<double>(read * channels) * (list.element() + 2.0 * parameter)});
           }});
  description.keep("table_indices", read, kIndex);
  description.weight({.elements = (layer.rows * channels + shape.ep - 1) / shape.ep,
                      .owner = Owner::kExperts,
                      .updated = Updated::kInBackward});
}

// The matrix of products of a sample's vectors, of which one triangle goes on beside the first vector; backward, as
// autograd has it, a product for each of the two operands, which are one and the same.
void interaction(Description& description, const NetworkLayer& layer) {
  const std::int64_t samples = description.shape().micro_batch;
  const std::int64_t vectors = layer.in.positions();
  const std::int64_t channels = layer.in.channels;
  const std::int64_t products = samples * vectors * vectors;
  const std::int64_t outputs = batch_elements(description, layer.out);
  const Bytes e = description.element();
  const Precision precision = description.wide_precision();
  description.step(
      {.forward =
           [=](OperatorList& list) {
             list.gemm("interaction", Pass::kForward,
                       {.m = vectors, .n = vectors, .k = channels, .batch = samples, .precision = precision});
             list.elementwise("interaction_triangle", Pass::kForward, outputs, 2.0 * e);
           },
       .backward =
           [=](OperatorList& list) {
             list.elementwise("interaction_triangle", Pass::kDgrad, products + outputs, 2.0 * e);
             for (int operand = 0; operand < 2; ++operand) {
               list.gemm("interaction", Pass::kDgrad,
                         {.m = vectors, .n = channels, .k = vectors, .batch = samples, .precision = precision});
             }
             list.elementwise("gradient_add", Pass::kDgrad, samples * vectors * channels, 3.0 * e);
             list.elementwise("gradient_add", Pass::kDgrad, samples * channels, 3.0 * e);
           }});
  description.products(static_cast<double>(products * channels));
}

}  // namespace trainyard
