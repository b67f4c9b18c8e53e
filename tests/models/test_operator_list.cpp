#include <doctest/doctest.h>

#include "models/blocks/shard.hpp"
#include "models/load_model.hpp"
#include "sim/base/error.hpp"
#include "tests/models/operator_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_operator_list {

TEST_CASE("asynchronous collectives of the backward run beside the GEMMs of the same linear, and only those") {
  const ModelSpec model = load_model("gpt3-175b");
  for (const SequenceParallel sequence : {SequenceParallel::kOff, SequenceParallel::kOn}) {
    for (const Fusion merged : {Fusion::kOn, Fusion::kOff}) {
      const ShardShape shape{.micro_batch = 1, .seq_len = 2048, .tp = 8, .sequence_parallel = sequence};
      const auto list = layer_backward(model, {}, shape, {.merged_projections = merged});
      int overlapped = 0;
      for (std::size_t i = 0; i < list.size(); ++i) {
        const auto* collective = std::get_if<GroupCollective>(&list[i].work);
        const int beside = collective != nullptr ? collective->overlapped_operators : 0;
        overlapped += beside > 0 ? 1 : 0;
        // A gather of the input hides behind dgrad, a sum of the input's gradient behind wgrad.
        const bool gather = collective != nullptr && collective->op == CollectiveOp::kAllGather;
        for (int k = 1; k <= beside; ++k) {
          const Operator& next = list[i + static_cast<std::size_t>(k)];
          CHECK(next.pass == (gather ? Pass::kDgrad : Pass::kWgrad));
          CHECK((next.name == "qkv" || next.name == "mlp_up" || next.name == "input_gradient_add"));
        }
      }
      CHECK(overlapped == (sequence == SequenceParallel::kOn ? 4 : 2));
    }
  }
  for (const Operator& op : layer_backward(model, {}, {.micro_batch = 1, .seq_len = 2048, .tp = 8}, megatron_2022())) {
    if (const auto* collective = std::get_if<GroupCollective>(&op.work)) {
      CHECK(collective->overlapped_operators == 0);
    }
  }
}

TEST_CASE("weight gradients have the transposed shape and the traffic of the buffer they accumulate into") {
  const ModelSpec model = load_model("llama-3-8b");
  ShardShape shape{.micro_batch = 1, .seq_len = 8192, .tp = 2, .gradient_element = Bytes{4.0}};
  const auto backward = layer_backward(model, {}, shape, {});
  const auto wgrad = gemms(backward, "mlp_down", Pass::kWgrad);
  REQUIRE(wgrad.size() == 1);
  CHECK(wgrad[0].m == 4096);
  CHECK(wgrad[0].n == 7168);
  CHECK(wgrad[0].k == 8192);
  // Reads and writes 4 bytes each where a plain GEMM writes 2.
  CHECK(wgrad[0].extra_traffic.value == 6.0 * 4096 * 7168);
  const auto dgrad = gemms(backward, "mlp_down", Pass::kDgrad);
  REQUIRE(dgrad.size() == 1);
  CHECK(dgrad[0].m == 8192);
  CHECK(dgrad[0].n == 7168);
  CHECK(dgrad[0].k == 4096);
  CHECK(dgrad[0].extra_traffic.value == 0.0);

  const auto fresh = layer_backward(model, {}, shape, {.gradient_buffer = Presence::kAbsent});
  CHECK(gemms(fresh, "mlp_down", Pass::kWgrad)[0].extra_traffic.value == 0.0);
  CHECK(traffic(fresh, "gradient_accumulation").value == 0.0);
}

TEST_CASE("grouped queries narrow the QKV projection, and few key heads are replicated over the ranks") {
  const ModelSpec model = load_model("llama-3-8b");  // 32 query heads, 8 key and value heads of 128
  CHECK(gemms(layer_forward(model, {}, {.seq_len = 8192, .tp = 8}, {}), "qkv", Pass::kForward)[0].n == (4 + 2) * 128);
  CHECK(gemms(layer_forward(model, {}, {.seq_len = 8192, .tp = 16}, {}), "qkv", Pass::kForward)[0].n == (2 + 2) * 128);
  const auto apart = gemms(layer_forward(model, {}, {.seq_len = 8192, .tp = 8}, {.merged_projections = Fusion::kOff}),
                           "qkv", Pass::kForward);
  REQUIRE(apart.size() == 3);
  CHECK(apart[0].n == 512);
  CHECK(apart[1].n == 128);
  CHECK(apart[2].n == 128);
}

TEST_CASE("sizes that do not divide are rounded up to the largest shard") {
  const ModelSpec model = load_model("gpt2-xl");  // 25 heads of 64, ffn 6400, vocabulary 50257
  const ShardShape shape{.seq_len = 1024, .tp = 8};
  CHECK(gemms(layer_forward(model, {}, shape, {}), "qkv", Pass::kForward)[0].n == 3 * 4 * 64);
  CHECK(gemms(head_forward(model, shape, {}), "logits", Pass::kForward)[0].n == 6283);  // 50257 / 8 = 6282.1
}

TEST_CASE("narrow operands are quantised before each linear while attention and logits stay in 16 bits") {
  const ModelSpec model = load_model("llama-3-8b");
  const ShardShape shape{.micro_batch = 1, .seq_len = 8192, .precision = Precision::kFp8};
  const auto forward = layer_forward(model, {}, shape, {});
  // Four linears with inputs of h, h, h and f: read in 2 bytes, written twice in 1.
  CHECK(traffic(forward, "quantize").value == 4.0 * 8192 * (3 * 4096 + 14336));
  CHECK(gemms(forward, "qkv", Pass::kForward)[0].precision == Precision::kFp8);
  CHECK(gemms(forward, "qkv", Pass::kForward)[0].extra_traffic.value == 8192.0 * 6144);  // the output has 2 bytes
  CHECK(gemms(head_forward(model, shape, {}), "logits", Pass::kForward)[0].precision == Precision::kBf16);
  for (const Operator& op : forward) {
    if (const auto* attention = std::get_if<Attention>(&op.work)) {
      CHECK(attention->precision == Precision::kBf16);
    }
  }
}

TEST_CASE("tensors whose elements 64 bits cannot count are refused, not counted as none") {
  // 2^10 sequences of 2^29 tokens with 2^26 logits each: 2^65 elements, 0 in 64 bits.
  ModelSpec model = load_model("gpt2");
  model.vocab = 1LL << 26;
  CHECK_THROWS_AS(Shard(model, {.micro_batch = 1 << 10, .seq_len = 1LL << 29}), UserError);
  CHECK_NOTHROW(Shard(model, {.micro_batch = 8, .seq_len = 1 << 20}));  // a million tokens of context
}

}  // namespace test_operator_list
