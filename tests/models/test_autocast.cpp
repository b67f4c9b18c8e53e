// Parameters wider than activations: what torch.autocast casts, and what stays wide.
#include <doctest/doctest.h>

#include <algorithm>

#include "models/activations.hpp"
#include "models/load_model.hpp"
#include "tests/models/operator_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_autocast {

namespace {

constexpr ShardShape kNarrow{.micro_batch = 1, .seq_len = 2048};
constexpr ShardShape kAutocast{.micro_batch = 1, .seq_len = 2048, .parameter_element = Bytes{4.0}};
constexpr double kCast = 6.0;  // bytes read and written of one number between fp32 and 16 bits

double casts(const std::vector<Operator>& list) {
  double bytes = 0.0;
  for (const Operator& op : list) {
    const auto* kernel = std::get_if<MemoryBound>(&op.work);
    bytes += kernel != nullptr && op.name.starts_with("cast_") ? kernel->traffic.value : 0.0;
  }
  return bytes;
}

}  // namespace

TEST_CASE("autocast casts every weight once forward and its gradient once backward") {
  const ModelSpec model = load_model("gpt2-xl");
  const double weights = 12.0 * static_cast<double>(model.hidden * model.hidden);
  CHECK(traffic(layer_forward(model, {}, kAutocast, {}), "cast_weight").value == kCast * weights);
  CHECK(traffic(layer_backward(model, {}, kAutocast, {}), "cast_weight_gradient").value == kCast * weights);
}

TEST_CASE("autocast casts what norms give to linears, and gradients on their way between branch and residual stream") {
  const ModelSpec model = load_model("gpt2-xl");
  const double hidden = 2048.0 * static_cast<double>(model.hidden);
  CHECK(traffic(layer_forward(model, {}, kAutocast, {}), "cast_input").value == 2.0 * kCast * hidden);
  const auto backward = layer_backward(model, {}, kAutocast, {});
  CHECK(traffic(backward, "cast_input_gradient").value == 2.0 * kCast * hidden);
  CHECK(traffic(backward, "cast_gradient").value == 2.0 * kCast * hidden);
}

TEST_CASE("under autocast norms and the residual stream move fp32, attention and activations 16 bits") {
  const ModelSpec model = load_model("gpt2-xl");
  const auto narrow = layer_forward(model, {}, kNarrow, eager());
  const auto autocast = layer_forward(model, {}, kAutocast, eager());
  CHECK(traffic(autocast, "mlp_norm").value == 2.0 * traffic(narrow, "mlp_norm").value);
  CHECK(traffic(autocast, "residual_add").value == 10.0 / 6.0 * traffic(narrow, "residual_add").value);
  CHECK(traffic(autocast, "gelu") == traffic(narrow, "gelu"));
  CHECK(executed_flops(autocast) == executed_flops(narrow));
}

TEST_CASE("nothing is cast where parameters are stored as activations are") {
  const ModelSpec model = load_model("gpt2-xl");
  const ShardShape single{.micro_batch = 1,
                          .seq_len = 2048,
                          .precision = Precision::kFp32,
                          .activation_element = Bytes{4.0},
                          .parameter_element = Bytes{4.0}};
  for (const ShardShape& shape : {kNarrow, single}) {
    CHECK(casts(layer_forward(model, {}, shape, eager())) == 0.0);
    CHECK(casts(layer_backward(model, {}, shape, eager())) == 0.0);
    CHECK(casts(head_backward(model, shape, eager())) == 0.0);
  }
}

TEST_CASE("autocast keeps 16-bit copies of the weights and fp32 inputs of norms for the backward pass") {
  const ModelSpec model = load_model("gpt2-xl");
  const auto bytes = [&](const ShardShape& shape, std::string_view name) {
    double sum = 0.0;
    for (const ActivationTerm& term : activation_bytes(model, {}, shape, {}, Recompute::kNone)) {
      sum += term.name == name ? term.bytes.value : 0.0;
    }
    return sum;
  };
  const ParameterShare share = layer_share(model, {}, kAutocast);
  CHECK(bytes(kAutocast, "cast_weights") == 2.0 * static_cast<double>(share.total()));
  CHECK(bytes(kNarrow, "cast_weights") == 0.0);
  CHECK(bytes(kAutocast, "mlp_norm_input") == 2.0 * bytes(kNarrow, "mlp_norm_input"));
  CHECK(bytes(kAutocast, "mlp_up_input") == bytes(kNarrow, "mlp_up_input"));
}

TEST_CASE("every loss metric evaluates the cross entropy once more") {
  const ModelSpec model = load_model("gpt2-xl");
  const OperatorOptions plain{.cross_entropy = Fusion::kOn, .vocabulary_parallel = Presence::kAbsent};
  OperatorOptions metrics = plain;
  metrics.loss_metrics = 2;
  const auto logits = [&](const OperatorOptions& options) {
    return traffic(head_forward(model, kNarrow, options), "log_softmax").value;
  };
  CHECK(logits(plain) == 0.0);
  CHECK(logits(metrics) == 2.0 * 8.0 * 2048.0 * static_cast<double>(model.vocab));
  CHECK(head_backward(model, kNarrow, metrics).size() == head_backward(model, kNarrow, plain).size());
}

}  // namespace test_autocast
