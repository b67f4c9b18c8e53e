#include <doctest/doctest.h>

#include <algorithm>

#include "models/load_model.hpp"
#include "tests/models/operator_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_head_operators {

TEST_CASE("vocabulary-parallel loss sums maximum, target logit and exponentials over the ranks") {
  const ModelSpec model = load_model("gpt3-175b");
  const ShardShape shape{.micro_batch = 2, .seq_len = 2048, .tp = 8, .padded_vocab = 51200};
  const auto forward = head_forward(model, shape, megatron_2022());
  CHECK(count(forward, CollectiveOp::kAllReduce) == 3);
  CHECK(ring_volume(forward).value == 2.0 * 3 * 2 * 2048 * 4);  // three all-reduces of b s fp32 numbers
  CHECK(gemms(forward, "logits", Pass::kForward)[0].n == 6400);
  // Backward: the input's gradient is summed once.
  const auto backward = head_backward(model, shape, megatron_2022());
  CHECK(ring_volume(backward).value == 2.0 * 2 * 2048 * 12288 * 2);
}

TEST_CASE("the fused loss exchanges three numbers per token and rank and skips the fp32 copy") {
  const ModelSpec model = load_model("llama-3-8b");
  const ShardShape shape{.micro_batch = 1, .seq_len = 8192, .tp = 4};
  const OperatorOptions fused{.cross_entropy = Fusion::kOn};
  const auto forward = head_forward(model, shape, fused);
  CHECK(count(forward, CollectiveOp::kAllReduce) == 0);
  CHECK(count(forward, CollectiveOp::kAllGather) == 1);
  CHECK(ring_volume(forward).value == 4.0 * 3 * 8192 * 4);
  CHECK(traffic(forward, "logits_to_fp32").value == 0.0);
  CHECK(traffic(head_forward(model, shape, {}), "logits_to_fp32").value == 6.0 * 8192 * 128256 / 4);
}

TEST_CASE("on one rank PyTorch's loss moves less than Megatron's and exchanges nothing") {
  const ModelSpec model = load_model("gpt2");
  const ShardShape shape{.micro_batch = 4, .seq_len = 1024};
  const auto total = [&](Presence vocabulary_parallel) {
    Bytes sum{};
    for (const Operator& op : head_forward(model, shape, {.vocabulary_parallel = vocabulary_parallel})) {
      if (const auto* kernel = std::get_if<MemoryBound>(&op.work)) {
        sum += kernel->traffic;
      }
    }
    return sum;
  };
  CHECK(total(Presence::kAbsent) < total(Presence::kPresent));
  CHECK(ring_volume(head_forward(model, shape, {})).value == 0.0);
}

TEST_CASE("sequence parallelism gathers the logits' input and hides the backward's collectives behind its GEMMs") {
  const ModelSpec model = load_model("llama-3-8b");
  const ShardShape shape{.micro_batch = 1, .seq_len = 8192, .tp = 4, .sequence_parallel = SequenceParallel::kOn};
  const auto forward = head_forward(model, shape, {.cross_entropy = Fusion::kOn});
  CHECK(count(forward, CollectiveOp::kAllGather) == 2);
  const auto backward = head_backward(model, shape, {.cross_entropy = Fusion::kOn});
  int overlapped = 0;
  for (const Operator& op : backward) {
    if (const auto* collective = std::get_if<GroupCollective>(&op.work)) {
      overlapped += collective->overlapped_operators;
    }
  }
  CHECK(overlapped == 2);  // the gather beside dgrad, the reduce-scatter beside wgrad
}

TEST_CASE("BERT runs its transform on every token and its pooler on every sequence") {
  const ModelSpec model = load_model("bert-large");
  const ShardShape shape{.micro_batch = 16, .seq_len = 512};
  const auto forward = head_forward(model, shape, {});
  CHECK(gemms(forward, "mlm_transform", Pass::kForward)[0].m == 16 * 512);
  CHECK(gemms(forward, "pooler", Pass::kForward)[0].m == 16);
  // The heads are beyond the model FLOPs, which count layers and logits: 6 h^2 per token and per sequence.
  const auto backward = head_backward(model, shape, {});
  CHECK((executed_flops(forward) + executed_flops(backward)).value ==
        6.0 * 16 * 512 * 1024 * 30522 + 6.0 * 1024 * 1024 * (16 * 512 + 16));
}

TEST_CASE("a head that gathers sees 20 of 128 tokens, and memory too") {
  const ModelSpec model = load_model("bert-base");
  const ShardShape shape{.micro_batch = 8, .seq_len = 512};
  const OperatorOptions gathers{.gathered_predictions = Presence::kPresent};
  const auto forward = head_forward(model, shape, gathers);
  CHECK(gemms(forward, "logits", Pass::kForward)[0].m == 8 * 80);
  CHECK(gemms(forward, "mlm_transform", Pass::kForward)[0].m == 8 * 80);
  CHECK(gemms(forward, "pooler", Pass::kForward)[0].m == 8);
  CHECK(traffic(forward, "gather_masked").value == 2.0 * 2 * 8 * 80 * 768);
  // Zeros for all tokens, and the gathered rows added.
  CHECK(traffic(head_backward(model, shape, gathers), "masked_gradient").value == 2.0 * 8 * 768 * (512 + 3 * 80));
  // Decoders predict every token.
  CHECK(gemms(head_forward(load_model("gpt2"), shape, gathers), "logits", Pass::kForward)[0].m == 8 * 512);
}

TEST_CASE("fine-tuning classifies tokens in place of the vocabulary, with nothing of pre-training's heads") {
  ModelSpec model = load_model("bert-base");
  const std::int64_t pretrained = parameters(model);
  model.token_classes = 2;
  const auto forward = head_forward(model, {.micro_batch = 4, .seq_len = 384}, {});
  CHECK(gemms(forward, "token_classes", Pass::kForward)[0].m == 4 * 384);
  CHECK(gemms(forward, "token_classes", Pass::kForward)[0].n == 2);
  CHECK(gemms(forward, "logits", Pass::kForward).empty());
  CHECK(gemms(forward, "pooler", Pass::kForward).empty());
  CHECK(pretrained - parameters(model) == 769 * 768 - 769 * 2);  // a pooler less, two classes more
}

TEST_CASE("TensorFlow's GeLU and layer norm are chains by way of fp32") {
  const ModelSpec model = load_model("bert-base");
  const ShardShape shape{.micro_batch = 1, .seq_len = 128};
  const OperatorOptions composed{.bias_gelu = Fusion::kOff, .composed_pointwise = Presence::kPresent};
  const auto forward = layer_forward(model, layer_kind(model, 0), shape, composed);
  const auto operators = [&](std::string_view name) {
    return std::count_if(forward.begin(), forward.end(), [&](const Operator& op) { return op.name == name; });
  };
  CHECK(operators("gelu") == 9);  // eight, and the casts of 16-bit operands
  CHECK(traffic(forward, "gelu").value == (18.0 * 4 + 2.0 * (2 + 4)) * 128 * 3072);
  CHECK(operators("mlp_norm") == 7);
}

TEST_CASE("softmax without casts moves operands once each way") {
  const ModelSpec model = load_model("bert-base");
  const ShardShape shape{.micro_batch = 2, .seq_len = 128};
  const OperatorOptions plain{.attention = AttentionKernel::kUnfused, .softmax_casts = Presence::kAbsent};
  const double scores = 2.0 * 12 * 128 * 128;
  const LayerKind kind = layer_kind(model, 0);
  CHECK(traffic(layer_forward(model, kind, shape, plain), "softmax").value == 4.0 * scores);
  CHECK(traffic(layer_forward(model, kind, shape, plain), "softmax_cast").value == 0.0);
  CHECK(traffic(layer_backward(model, kind, shape, plain), "softmax_backward").value == 6.0 * scores);
}

}  // namespace test_head_operators
