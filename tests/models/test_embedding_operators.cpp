#include <doctest/doctest.h>

#include "models/load_model.hpp"
#include "tests/models/operator_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_embedding_operators {

TEST_CASE("the vocabulary-parallel embedding is summed over the ranks once") {
  const ModelSpec model = load_model("gpt3-175b");
  const ShardShape shape{.micro_batch = 1, .seq_len = 2048, .tp = 8};
  const auto forward = embedding_forward(model, shape, {});
  CHECK(count(forward, CollectiveOp::kAllReduce) == 1);
  CHECK(ring_volume(forward).value == 2.0 * 2048 * 12288 * 2);
  CHECK(ring_volume(embedding_backward(model, shape, {})).value == 0.0);
}

TEST_CASE("sequence parallelism scatters token embeddings unless position tables are added after them") {
  ShardShape shape{.micro_batch = 1, .seq_len = 2048, .tp = 8, .sequence_parallel = SequenceParallel::kOn};
  const auto learned = embedding_forward(load_model("gpt3-175b"), shape, {});
  CHECK(count(learned, CollectiveOp::kAllReduce) == 1);
  const auto rotary = embedding_forward(load_model("llama-3-8b"), shape, {});
  CHECK(count(rotary, CollectiveOp::kReduceScatter) == 1);
  CHECK(count(embedding_backward(load_model("llama-3-8b"), shape, {}), CollectiveOp::kAllGather) == 1);
}

TEST_CASE("embedding tables cost their clearing and accumulation, whatever the tokens") {
  const ModelSpec model = load_model("gpt3-175b");
  const ShardShape shape{.micro_batch = 1, .seq_len = 2048, .tp = 8, .gradient_element = Bytes{4.0}};
  const auto backward = embedding_backward(model, shape, megatron_2022());
  // Token rows of this rank and all position rows, written once in 2 bytes; accumulated as r2, r4 and w4.
  const double tables = (51200.0 / 8 + 2048) * 12288;
  CHECK(traffic(backward, "embedding_gradient_clear").value == 2.0 * tables);
  CHECK(traffic(backward, "gradient_accumulation").value == 10.0 * tables);
}

TEST_CASE("BERT adds positions and segments and normalises them") {
  const auto forward = embedding_forward(load_model("bert-base"), {.micro_batch = 8, .seq_len = 512}, {});
  const double hidden = 8.0 * 512 * 768;
  CHECK(traffic(forward, "position_add").value == 2 * 6.0 * hidden);
  CHECK(traffic(forward, "embedding_norm").value == 4.0 * hidden);
}

}  // namespace test_embedding_operators
