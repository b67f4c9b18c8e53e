#include <doctest/doctest.h>

#include <algorithm>

#include "models/load_model.hpp"
#include "tests/models/operator_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_attention_operators {

TEST_CASE("selective recomputation repeats exactly core attention's part of the forward") {
  const ModelSpec model = load_model("megatron-22b");
  const ShardShape shape{.micro_batch = 4, .seq_len = 2048, .tp = 8};
  for (const OperatorOptions& options : {megatron_2022(), eager(), OperatorOptions{}}) {
    const auto again = names(attention_recompute(model, shape, options));
    const auto forward = names(layer_forward(model, {}, shape, options));
    CHECK_FALSE(again.empty());
    CHECK(std::search(forward.begin(), forward.end(), again.begin(), again.end()) != forward.end());
  }
  // arXiv 2205.05198, section 5: QK^T and AV again, 4 b s^2 h FLOPs per layer over all ranks.
  CHECK(8.0 * executed_flops(attention_recompute(model, shape, megatron_2022())).value ==
        4.0 * 4 * 2048 * 2048.0 * 6144);
}

TEST_CASE("flash attention is one kernel each way, of the rank's heads") {
  const ModelSpec model = load_model("llama-3-70b");
  const ShardShape shape{.micro_batch = 2, .seq_len = 8192, .tp = 8};
  const auto forward = attention_recompute(model, shape, {});
  REQUIRE(forward.size() == 1);
  const auto attention = std::get<Attention>(forward[0].work);
  CHECK(attention.batch == 2);
  CHECK(attention.heads == 8);
  CHECK(attention.kv_heads == 1);
  CHECK(attention.head_dim == 128);
  CHECK(attention.mask == Mask::kCausal);
  CHECK(attention.direction == Direction::kForward);
}

TEST_CASE("a full mask lets the fused softmax read the whole square") {
  const ShardShape shape{.micro_batch = 1, .seq_len = 512};
  const double scores = 12.0 * 512 * 512;
  CHECK(traffic(attention_recompute(load_model("bert-base"), shape, megatron_2022()), "softmax").value == 4.0 * scores);
  CHECK(traffic(attention_recompute(load_model("gpt2"), shape, megatron_2022()), "softmax").value == 3.0 * scores);
}

TEST_CASE("without dropout no dropout kernels run") {
  const ModelSpec model = load_model("llama-3-8b");
  const ShardShape shape{.micro_batch = 1, .seq_len = 1024, .tp = 2};
  for (const OperatorOptions& options : {megatron_2022(), eager(), OperatorOptions{}}) {
    for (const auto& list : {layer_forward(model, {}, shape, options), layer_backward(model, {}, shape, options),
                             embedding_forward(model, shape, options), embedding_backward(model, shape, options)}) {
      for (const std::string& name : names(list)) {
        CHECK(name.find("dropout") == std::string::npos);
      }
    }
  }
}

TEST_CASE("unfused attention with grouped queries expands keys and values and sums their gradients") {
  const ModelSpec model = load_model("llama-3-8b");
  const ShardShape shape{.micro_batch = 1, .seq_len = 1024};
  // Reads 8 heads and writes 32, for keys and for values, of 1024 tokens and 128 numbers in 2 bytes.
  CHECK(traffic(layer_forward(model, {}, shape, megatron_2022()), "key_value_expand").value ==
        2.0 * 1024 * 128 * 2 * (8 + 32));
  CHECK(traffic(layer_backward(model, {}, shape, megatron_2022()), "key_value_sum").value ==
        2.0 * 1024 * 128 * 2 * (8 + 32));
  CHECK(traffic(layer_forward(load_model("llama-2-7b"), {}, shape, megatron_2022()), "key_value_expand").value == 0.0);
}

TEST_CASE("rotary positions rotate queries and keys, in one kernel each or statement by statement") {
  const ModelSpec model = load_model("llama-3-8b");
  const ShardShape shape{.micro_batch = 1, .seq_len = 1024};
  // 32 + 8 heads of 128, read and written in 2 bytes.
  CHECK(traffic(layer_forward(model, {}, shape, {}), "rotary").value == 4.0 * 1024 * 40 * 128);
  // x cos 2, minus half 1, concatenation 2, times sin 2, sum 3 elements moved for each.
  CHECK(traffic(layer_forward(model, {}, shape, {.rope = Fusion::kOff}), "rotary").value == 2.0 * 10 * 1024 * 40 * 128);
  CHECK(traffic(layer_forward(load_model("gpt2"), {}, shape, {}), "rotary").value == 0.0);
}

TEST_CASE("scores that Megatron's fused softmax does not take go through PyTorch's, in fp32") {
  const ModelSpec model = load_model("megatron-1.7b");  // 24 heads
  const auto kernels = [&](std::int64_t micro_batch, std::int64_t seq_len) {
    const ShardShape shape{.micro_batch = micro_batch, .seq_len = seq_len, .tp = 4};
    return layer_forward(model, {}, shape, megatron_2022());
  };
  const auto scores = [](std::int64_t matrices) { return static_cast<double>(matrices) * 2048.0 * 2048.0; };
  // Six heads on a rank: two sequences make twelve matrices, one makes six, which are not a multiple of four.
  CHECK(traffic(kernels(2, 2048), "softmax").value == 3.0 * scores(12));
  CHECK(traffic(kernels(2, 2048), "softmax_to_fp32").value == 0.0);
  CHECK(traffic(kernels(1, 2048), "softmax").value == 8.0 * scores(6));
  CHECK(traffic(kernels(1, 2048), "softmax_to_fp32").value == 6.0 * scores(6));
  CHECK(traffic(kernels(2, 8192), "softmax_to_fp32").value > 0.0);
}

}  // namespace test_attention_operators
