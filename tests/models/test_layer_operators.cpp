#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>

#include "models/load_model.hpp"
#include "tests/models/operator_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_layer_operators {

namespace {

// FLOPs that one micro-batch executes on one rank: all layers and the head, forward and backward.
double executed(const ModelSpec& model, const ShardShape& shape, const OperatorOptions& options) {
  const auto layers = static_cast<double>(model.layers);
  return layers * (executed_flops(layer_forward(model, {}, shape, options)) +
                   executed_flops(layer_backward(model, {}, shape, options)))
                      .value +
         (executed_flops(head_forward(model, shape, options)) + executed_flops(head_backward(model, shape, options)))
             .value;
}

ModelSpec any_model() {
  ModelSpec model;
  model.layers = *rc::gen::inRange<std::int64_t>(1, 6);
  model.kv_heads = 8 * *rc::gen::inRange<std::int64_t>(1, 3);
  model.heads = model.kv_heads * *rc::gen::inRange<std::int64_t>(1, 5);
  model.head_dim = *rc::gen::element<std::int64_t>(16, 64, 80, 128);
  model.hidden = 8 * *rc::gen::inRange<std::int64_t>(1, 200);
  model.ffn = 8 * *rc::gen::inRange<std::int64_t>(1, 200);
  model.vocab = 8 * *rc::gen::inRange<std::int64_t>(1, 1000);
  model.seq_len = 8 * *rc::gen::inRange<std::int64_t>(1, 100);
  model.normalization = *rc::gen::element(Normalization::kLayerNorm, Normalization::kRmsNorm);
  model.activation = *rc::gen::element(Activation::kGelu, Activation::kSwiGlu);
  model.positions = *rc::gen::element(Positions::kLearned, Positions::kRotary, Positions::kNone);
  model.mask = *rc::gen::element(Mask::kCausal, Mask::kFull);
  model.linear_bias = *rc::gen::element(Presence::kAbsent, Presence::kPresent);
  model.qkv_bias = *rc::gen::element(Presence::kAbsent, Presence::kPresent);
  model.dropout = *rc::gen::element(Presence::kAbsent, Presence::kPresent);
  return model;
}

OperatorOptions any_options() {
  const auto fusion = [] { return *rc::gen::element(Fusion::kOff, Fusion::kOn); };
  return {.attention = *rc::gen::element(AttentionKernel::kUnfused, AttentionKernel::kUnfusedSoftmaxFused,
                                         AttentionKernel::kFlash),
          .bias_gelu = fusion(),
          .bias_dropout_add = fusion(),
          .norm = fusion(),
          .rope = fusion(),
          .cross_entropy = fusion(),
          .wgrad_accumulation = fusion(),
          .linear_bias = fusion(),
          .merged_projections = fusion(),
          .gradient_buffer = *rc::gen::element(Presence::kAbsent, Presence::kPresent),
          .vocabulary_parallel = *rc::gen::element(Presence::kAbsent, Presence::kPresent),
          .async_tensor_collectives = *rc::gen::element(TensorOverlap::kOff, TensorOverlap::kOn)};
}

ShardShape any_shape(const ModelSpec& model, std::int64_t tp) {
  return {.micro_batch = *rc::gen::inRange<std::int64_t>(1, 9),
          .seq_len = model.seq_len,
          .tp = tp,
          .sequence_parallel = *rc::gen::element(SequenceParallel::kOff, SequenceParallel::kOn)};
}

std::vector<std::vector<Operator>> all_lists(const ModelSpec& model, const ShardShape& shape,
                                             const OperatorOptions& options) {
  return {layer_forward(model, {}, shape, options),   layer_backward(model, {}, shape, options),
          attention_recompute(model, shape, options), embedding_forward(model, shape, options),
          embedding_backward(model, shape, options),  head_forward(model, shape, options),
          head_backward(model, shape, options)};
}

}  // namespace

TEST_CASE("GEMMs and attention of all lists execute exactly the model FLOPs, plus what the attention kernel wastes") {
  CHECK(rc::check([] {
    const ModelSpec model = any_model();
    const OperatorOptions options = any_options();
    ShardShape shape = any_shape(model, 1);
    const auto s = static_cast<double>(model.seq_len);
    const double tokens = static_cast<double>(shape.micro_batch) * s;
    // One forward attention over all s^2 scores of every layer.
    const double attention = 4.0 * tokens * s * static_cast<double>(model.layers * model.heads * model.head_dim);
    // Model FLOPs are 3 forwards, half of each when causal. Unfused kernels compute the full square; flash attention
    // skips the masked half but its backward is 2.5 forwards instead of 2.
    const double visible = model.mask == Mask::kCausal ? 0.5 : 1.0;
    const double wasted =
        options.attention == AttentionKernel::kFlash ? 0.5 * visible * attention : 3.0 * (1.0 - visible) * attention;
    const double expected = flops_per_token(model, model.seq_len).value * tokens + wasted;
    RC_ASSERT(std::abs(executed(model, shape, options) / expected - 1.0) < 1e-14);
  }));
}

TEST_CASE("catalogue models execute their published FLOPs per token") {
  for (const char* name : {"gpt3-175b", "llama-3-8b", "llama-3-405b", "qwen2-7b"}) {
    CAPTURE(name);
    ModelSpec model = load_model(name);
    model.mask = Mask::kFull;  // so that unfused attention computes what is counted
    const ShardShape shape{.micro_batch = 1, .seq_len = model.seq_len};
    CHECK(executed(model, shape, megatron_2022()) ==
          doctest::Approx(flops_per_token(model, model.seq_len).value * static_cast<double>(model.seq_len))
              .epsilon(1e-14));
  }
}

TEST_CASE("tensor parallelism splits the FLOPs evenly when every size divides") {
  CHECK(rc::check([] {
    const ModelSpec model = any_model();
    const OperatorOptions options = any_options();
    ShardShape shape = any_shape(model, 1);
    const double whole = executed(model, shape, options);
    shape.tp = *rc::gen::element<std::int64_t>(2, 4, 8);
    RC_ASSERT(std::abs(static_cast<double>(shape.tp) * executed(model, shape, options) / whole - 1.0) < 1e-14);
  }));
}

TEST_CASE("operators of any model are finite, named, and in range") {
  CHECK(rc::check([] {
    const ModelSpec model = any_model();
    const OperatorOptions options = any_options();
    const ShardShape shape = any_shape(model, *rc::gen::element<std::int64_t>(1, 2, 3, 5, 8, 64));
    for (const auto& list : all_lists(model, shape, options)) {
      for (std::size_t i = 0; i < list.size(); ++i) {
        RC_ASSERT(!list[i].name.empty());
        if (const auto* kernel = std::get_if<MemoryBound>(&list[i].work)) {
          RC_ASSERT(kernel->traffic.value > 0.0 && std::isfinite(kernel->traffic.value));
        } else if (const auto* gemm = std::get_if<Gemm>(&list[i].work)) {
          RC_ASSERT(gemm->m > 0 && gemm->n > 0 && gemm->k > 0 && gemm->batch > 0);
          RC_ASSERT(gemm->extra_traffic.value >= 0.0);
        } else if (const auto* collective = std::get_if<GroupCollective>(&list[i].work)) {
          RC_ASSERT(shape.tp > 1 && collective->size.value > 0.0);
          RC_ASSERT(i + static_cast<std::size_t>(collective->overlapped_operators) < list.size());
        }
      }
    }
  }));
}

TEST_CASE("without tensor parallelism there are no collectives, and sequence parallelism changes nothing") {
  const ModelSpec model = load_model("llama-3-8b");
  const ShardShape shape{.micro_batch = 2, .seq_len = 4096};
  ShardShape split = shape;
  split.sequence_parallel = SequenceParallel::kOn;
  const auto plain = all_lists(model, shape, {});
  const auto same = all_lists(model, split, {});
  for (std::size_t i = 0; i < plain.size(); ++i) {
    CHECK(ring_volume(plain[i]).value == 0.0);
    CHECK(names(plain[i]) == names(same[i]));
  }
}

TEST_CASE("sequence parallelism moves what the all-reduces moved, and the inputs for the weight gradients") {
  // arXiv 2205.05198: 2 all-reduces forward and 2 backward; instead 2 + 2 gathers and scatters each way and 2 more
  // gathers.
  const ModelSpec model = load_model("gpt3-175b");
  ShardShape shape{.micro_batch = 1, .seq_len = 2048, .tp = 8};
  const Bytes tensor{1.0 * 2048 * 12288 * 2};
  const auto forward = layer_forward(model, {}, shape, {});
  const auto backward = layer_backward(model, {}, shape, {});
  CHECK(count(forward, CollectiveOp::kAllReduce) == 2);
  CHECK(count(backward, CollectiveOp::kAllReduce) == 2);
  CHECK(ring_volume(forward) == 4.0 * tensor);
  CHECK(ring_volume(backward) == 4.0 * tensor);

  shape.sequence_parallel = SequenceParallel::kOn;
  const auto split_forward = layer_forward(model, {}, shape, {});
  const auto split_backward = layer_backward(model, {}, shape, {});
  CHECK(count(split_forward, CollectiveOp::kAllGather) == 2);
  CHECK(count(split_forward, CollectiveOp::kReduceScatter) == 2);
  CHECK(count(split_backward, CollectiveOp::kAllGather) == 4);
  CHECK(count(split_backward, CollectiveOp::kReduceScatter) == 2);
  CHECK(ring_volume(split_forward) == ring_volume(forward));
  CHECK(ring_volume(split_backward) == ring_volume(backward) + 2.0 * tensor);
  CHECK(traffic(split_forward, "mlp_norm") == traffic(forward, "mlp_norm") / 8.0);
  CHECK(traffic(split_forward, "bias_dropout_add") == traffic(forward, "bias_dropout_add") / 8.0);
  CHECK(traffic(split_forward, "gelu") == traffic(forward, "gelu"));
}

TEST_CASE("a layer of Megatron-LM 2022 launches the kernels of its source, in order") {
  // megatron/model/transformer.py and fused_kernels, v3.0: torch.matmul and a separate bias for QKV, baddbmm, fused
  // softmax, dropout, bmm, .contiguous() of the context, jit-fused bias-dropout-add and bias-GeLU.
  const ModelSpec model = load_model("megatron-22b");
  const ShardShape shape{.micro_batch = 4, .seq_len = 2048, .tp = 8};
  CHECK(names(layer_forward(model, {}, shape, megatron_2022())) ==
        std::vector<std::string>{"attention_norm", "qkv", "bias_add", "attention_scores", "softmax",
                                 "attention_dropout", "attention_context", "context_transpose", "attention_output",
                                 "tp_all_reduce", "bias_dropout_add", "mlp_norm", "mlp_up", "gelu", "mlp_down",
                                 "tp_all_reduce", "bias_dropout_add"});
  // Backward: twelve parameters accumulate into the main gradient one by one; every linear is dgrad and wgrad.
  const auto backward = layer_backward(model, {}, shape, megatron_2022());
  int accumulations = 0;
  int linear_gemms = 0;
  for (const Operator& op : backward) {
    accumulations += op.name == "gradient_accumulation" ? 1 : 0;
    const auto* gemm = std::get_if<Gemm>(&op.work);
    linear_gemms += gemm != nullptr && gemm->batch == 1 ? 1 : 0;
  }
  CHECK(accumulations == 12);
  CHECK(linear_gemms == 8);
  // Two dropouts, four bias reductions, GeLU, two norms of two kernels, two residual sums, core attention's four
  // products, dropout, softmax and two scales, QKV's concatenation, two all-reduces: 24 beside those 20.
  CHECK(backward.size() == 44);
}

TEST_CASE("element-wise traffic is what the kernels read and write") {
  const ModelSpec model = load_model("megatron-22b");
  const ShardShape shape{.micro_batch = 4, .seq_len = 2048, .tp = 8};
  const auto forward = layer_forward(model, {}, shape, megatron_2022());
  const auto backward = layer_backward(model, {}, shape, megatron_2022());
  const double hidden = 4.0 * 2048 * 6144;
  const double scores = 4.0 * 8 * 2048 * 2048;  // 64 heads over 8 ranks
  const double inner = 4.0 * 2048 * 24576 / 8;
  CHECK(traffic(forward, "attention_norm").value == 4.0 * hidden);        // r2 w2
  CHECK(traffic(forward, "bias_dropout_add").value == 2 * 7.0 * hidden);  // two of them: r2 r2 w2 and the mask
  CHECK(traffic(forward, "softmax").value == 3.0 * scores);               // reads half of the square, writes all
  CHECK(traffic(forward, "attention_dropout").value == 5.0 * scores);     // r2 w2 and the mask
  CHECK(traffic(forward, "gelu").value == 4.0 * inner);
  CHECK(traffic(backward, "gelu_backward").value == 6.0 * inner);
  CHECK(traffic(backward, "softmax_backward").value == 4.0 * scores);
  CHECK(traffic(backward, "dropout_backward").value == 2 * 5.0 * hidden);
  CHECK(traffic(backward, "residual_gradient_add").value == 2 * 6.0 * hidden);
  // Gradients of 12 h^2 / 8 weights, 7 h / 8 + 2 h biases and 4 h norm parameters: r2, and r2 w2 of an fp16 buffer.
  CHECK(traffic(backward, "gradient_accumulation").value ==
        6.0 * (12.0 * 6144 * 6144 / 8 + 7.0 * 6144 / 8 + 6.0 * 6144));
}

TEST_CASE("unfusing adds launches and keeps the FLOPs of everything but the attention kernel") {
  const ModelSpec model = load_model("llama-2-7b");
  const ShardShape shape{.micro_batch = 2, .seq_len = 4096};
  OperatorOptions options = eager();
  options.attention = AttentionKernel::kFlash;
  const auto fused = layer_forward(model, {}, shape, {});
  const auto unfused = layer_forward(model, {}, shape, options);
  CHECK(executed_flops(fused) == executed_flops(unfused));
  // Norm, QKV, two rotary kernels, attention, output, residual, norm, up, SwiGLU, down, residual.
  CHECK(fused.size() == 12);
  // Two RMSNorms of 8 statements, ten for rotary, Q K V and gate, up apart, silu and product apart.
  CHECK(unfused.size() == 2 * 8 + 10 + 3 + 2 + 2 + 5);
  CHECK(layer_backward(model, {}, shape, options).size() > layer_backward(model, {}, shape, {}).size());
}

}  // namespace test_layer_operators
