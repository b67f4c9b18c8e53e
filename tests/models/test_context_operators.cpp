#include <doctest/doctest.h>

#include "models/load_model.hpp"
#include "tests/models/operator_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_context_operators {

namespace {

std::vector<GroupCollective> exchanges(const std::vector<Operator>& list, CollectiveOp op) {
  std::vector<GroupCollective> found;
  for (const Operator& entry : list) {
    const auto* collective = std::get_if<GroupCollective>(&entry.work);
    if (collective != nullptr && collective->group != ParallelGroup::kTensor && collective->op == op) {
      found.push_back(*collective);
    }
  }
  return found;
}

std::vector<Attention> kernels(const std::vector<Operator>& list) {
  std::vector<Attention> found;
  for (const Operator& entry : list) {
    if (const auto* attention = std::get_if<Attention>(&entry.work)) {
      found.push_back(*attention);
    }
  }
  return found;
}

// Keys and values of one rank: 2 x s / cp x 8 heads x 128 in two bytes.
Bytes keys_and_values(std::int64_t seq_len, std::int64_t cp) {
  const std::int64_t tokens = seq_len / cp;
  return Bytes{2.0 * static_cast<double>(tokens) * 8 * 128 * 2};
}

}  // namespace

TEST_CASE("a ring sends keys and values cp - 1 times beside the kernels, and backward their gradients as often") {
  const ModelSpec model = load_model("llama-3-8b");
  const ShardShape shape{.micro_batch = 1, .seq_len = 32768, .cp = 4};
  const auto forward = layer_forward(model, {}, shape, {});
  const auto sent = exchanges(forward, CollectiveOp::kSendRecv);
  REQUIRE(sent.size() == 3);
  for (const GroupCollective& exchange : sent) {
    CHECK(exchange.group == ParallelGroup::kContext);
    CHECK(exchange.size == keys_and_values(32768, 4));
    CHECK(exchange.overlapped_operators == 1);
  }
  CHECK(exchanges(layer_backward(model, {}, shape, {}), CollectiveOp::kSendRecv).size() == 6);
  // The own pieces are causal, of the others half is seen: all ranks have s^2 / (2 cp) scores per head.
  const auto steps = kernels(forward);
  REQUIRE(steps.size() == 4);
  CHECK(steps[0].mask == Mask::kCausal);
  for (std::size_t i = 1; i < 4; ++i) {
    CHECK(steps[i].mask == Mask::kFull);
    CHECK(steps[i].seq_q == 8192);
    CHECK(steps[i].seq_kv == 4096);
  }
  double flops = 0.0;
  for (const Attention& step : steps) {
    flops += step.flops().value;
  }
  CHECK(flops == 4.0 * 32 * 128 * 32768.0 * 32768.0 / 8.0);
}

TEST_CASE("every exchange of a ring ends before its successor starts, and runs beside an attention kernel") {
  const ModelSpec model = load_model("llama-3-8b");
  const ShardShape shape{.micro_batch = 1, .seq_len = 32768, .cp = 8};
  for (const auto& list : {layer_forward(model, {}, shape, {}), layer_backward(model, {}, shape, {})}) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      const auto* exchange = std::get_if<GroupCollective>(&list[i].work);
      if (exchange != nullptr) {
        const std::size_t last = i + static_cast<std::size_t>(exchange->overlapped_operators);
        REQUIRE(last < list.size());
        CHECK(std::holds_alternative<Attention>(list[last].work));
      }
    }
  }
}

TEST_CASE("gathering moves all keys and values once forward, twice backward") {
  const ModelSpec model = load_model("llama-3-8b");
  const ShardShape shape{.micro_batch = 1, .seq_len = 32768, .cp = 4, .context_parallel = ContextParallel::kAllGather};
  const auto forward = exchanges(layer_forward(model, {}, shape, {}), CollectiveOp::kAllGather);
  REQUIRE(forward.size() == 1);
  CHECK(forward[0].size == 4.0 * keys_and_values(32768, 4));
  const auto backward = layer_backward(model, {}, shape, {});
  CHECK(exchanges(backward, CollectiveOp::kAllGather).size() == 1);
  CHECK(exchanges(backward, CollectiveOp::kReduceScatter).size() == 1);
}

TEST_CASE("Ulysses trades heads for tokens in four all-to-alls each way, and sees whole sequences") {
  const ModelSpec model = load_model("llama-3-8b");
  const ShardShape shape{.micro_batch = 1, .seq_len = 32768, .cp = 4, .context_parallel = ContextParallel::kUlysses};
  for (const auto& list : {layer_forward(model, {}, shape, {}), layer_backward(model, {}, shape, {})}) {
    const auto traded = exchanges(list, CollectiveOp::kAllToAll);
    REQUIRE(traded.size() == 4);
    Bytes total{};
    for (const GroupCollective& exchange : traded) {
      total += exchange.size;
    }
    // Queries and output of 32 heads, keys and values of 8.
    CHECK(total == Bytes{8192.0 * (2 * 32 + 2 * 8) * 128 * 2});
    const auto steps = kernels(list);
    REQUIRE(steps.size() == 1);
    CHECK(steps[0].heads == 8);
    CHECK(steps[0].kv_heads == 2);
    CHECK(steps[0].seq_q == 32768);
  }
}

TEST_CASE("the hierarchy trades within its inner group and runs a ring of the outer one") {
  const ModelSpec model = load_model("llama-3-8b");
  const ShardShape shape{.micro_batch = 1,
                         .seq_len = 32768,
                         .cp = 8,
                         .context_parallel = ContextParallel::kHierarchical,
                         .context_inner = 2};
  const auto list = layer_forward(model, {}, shape, {});
  const auto traded = exchanges(list, CollectiveOp::kAllToAll);
  const auto ring = exchanges(list, CollectiveOp::kSendRecv);
  REQUIRE(traded.size() == 4);
  REQUIRE(ring.size() == 3);
  CHECK(traded[0].group == ParallelGroup::kContextInner);
  CHECK(ring[0].group == ParallelGroup::kContextOuter);
  // Half the heads of twice the tokens: as many bytes as in a ring of all eight.
  CHECK(ring[0].size == keys_and_values(32768, 8));
}

TEST_CASE("a window bounds the keys of its layers alone") {
  const ModelSpec model = load_model("gemma-2-9b");  // windows of 4096 in the even layers
  const ShardShape shape{.micro_batch = 1, .seq_len = 8192};
  const auto windowed = kernels(layer_forward(model, layer_kind(model, 0), shape, {}));
  const auto global = kernels(layer_forward(model, layer_kind(model, 1), shape, {}));
  CHECK(windowed[0].window == 4096);
  CHECK(global[0].window == 0);
  // 3072 visible keys on average instead of 4096.
  CHECK(windowed[0].flops().value == doctest::Approx(0.75 * global[0].flops().value).epsilon(1e-12));
  CHECK(kernels(layer_forward(model, layer_kind(model, 0), {.seq_len = 4096}, {}))[0].window == 0);
}

}  // namespace test_context_operators
