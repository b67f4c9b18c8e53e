#include <doctest/doctest.h>

#include <algorithm>

#include "models/load_model.hpp"
#include "tests/models/operator_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_norm_operators {

namespace {

auto launches(const std::vector<Operator>& list, std::string_view name) {
  return std::count_if(list.begin(), list.end(), [&](const Operator& op) { return op.name == name; });
}

constexpr ShardShape kShape{.micro_batch = 1, .seq_len = 4096};
constexpr double kElements = 4096.0 * 4096;

}  // namespace

TEST_CASE("a fused norm reads and writes once forward, and backward reads twice and writes once") {
  const ModelSpec model = load_model("llama-2-7b");
  const auto forward = layer_forward(model, {}, kShape, {});
  CHECK(launches(forward, "mlp_norm") == 1);
  CHECK(traffic(forward, "mlp_norm").value == 4.0 * kElements);
  const auto backward = layer_backward(model, {}, kShape, {});
  CHECK(launches(backward, "mlp_norm") == 2);
  CHECK(traffic(backward, "mlp_norm").value == 6.0 * kElements + 8.0 * 4096);  // and one number per channel
}

TEST_CASE("eager RMSNorm computes in fp32, one kernel per statement") {
  const ModelSpec model = load_model("llama-2-7b");
  const OperatorOptions options{.norm = Fusion::kOff};
  const auto forward = layer_forward(model, {}, kShape, options);
  CHECK(launches(forward, "mlp_norm") == 8);
  // To fp32 6, square 8, mean 4, product with the root 8, back 6, weight 4; two small kernels per row.
  CHECK(traffic(forward, "mlp_norm").value == 36.0 * kElements + 2 * 8.0 * 4096);
  CHECK(launches(layer_backward(model, {}, kShape, options), "mlp_norm") == 15);
}

TEST_CASE("PyTorch's LayerNorm is one kernel forward and two full passes backward") {
  ModelSpec model = load_model("llama-2-7b");
  model.normalization = Normalization::kLayerNorm;
  const OperatorOptions options{.norm = Fusion::kOff};
  CHECK(launches(layer_forward(model, {}, kShape, options), "mlp_norm") == 1);
  CHECK(traffic(layer_backward(model, {}, kShape, options), "mlp_norm").value == 10.0 * kElements);
}

}  // namespace test_norm_operators
