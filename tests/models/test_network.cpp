#include <doctest/doctest.h>

#include "models/load_model.hpp"
#include "models/operators.hpp"
#include "sim/base/error.hpp"

using namespace trainyard;

namespace test_network {

struct Published {
  const char* name;
  std::int64_t parameters;
  double multiply_adds;  // forward, of an image, 1e9
};

// Parameters and multiply-adds of torchvision's models, from its table of weights (docs.pytorch.org/vision/stable,
// models); of EfficientNet-B2, which torchvision runs at more pixels, the paper's.
constexpr Published kPublished[] = {
    {"resnet-18", 11689512, 1.81},        {"resnet-34", 21797672, 3.66},        {"resnet-50", 25557032, 4.09},
    {"resnet-101", 44549160, 7.80},       {"resnet-152", 60192808, 11.51},      {"vgg-16", 138357544, 15.47},
    {"vgg-19", 143667240, 19.63},         {"alexnet", 61100840, 0.71},          {"efficientnet-b0", 5288548, 0.39},
    {"efficientnet-b1", 7794184, 0.69},   {"efficientnet-b2", 9109994, 1.0},    {"efficientnet-b3", 12233232, 1.83},
    {"efficientnet-b4", 19341616, 4.39},  {"efficientnet-b5", 30389784, 10.27}, {"efficientnet-b6", 43040704, 19.07},
    {"efficientnet-b7", 66347960, 37.75}, {"inception-v3", 23834568, 5.71}};

TEST_CASE("image networks have the parameters and the multiply-adds that are published") {
  for (const Published& published : kPublished) {
    CAPTURE(published.name);
    const ModelSpec model = load_model(published.name);
    CHECK(parameters(model) == published.parameters);
    // Forward and backward, two operations each: six.
    CHECK(flops_per_token(model, 1).value / 6e9 == doctest::Approx(published.multiply_adds).epsilon(0.02));
  }
}

ModelSpec network(const std::string& units, const std::string& input = "[3, 32, 32]") {
  const Json document = Json::parse(R"({"input": )" + input + R"(, "units": )" + units + "}");
  return read_model(JsonReader(document, "net.json"), "net");
}

Fault refused(const std::string& units, const std::string& input = "[3, 32, 32]") {
  try {
    network(units, input);
  } catch (const UserError& error) {
    return error.fault();
  }
  FAIL("it was taken");
  return {};
}

TEST_CASE("a perceptron of any shape has weights and biases of every layer") {
  const ModelSpec model = network(
      R"([{"layers": [{"type": "linear", "outputs": 10}, {"type": "activation", "function": "sigmoid"},
                      {"type": "linear", "outputs": 5}, {"type": "linear", "outputs": 3}]}])",
      "[5]");
  CHECK(parameters(model) == (5 + 1) * 10 + (10 + 1) * 5 + (5 + 1) * 3);
  CHECK(flops_per_token(model, 1).value == doctest::Approx(6.0 * (50 + 50 + 15)));
}

TEST_CASE("every type of layer is read, counted and launched") {
  const ModelSpec model = network(R"([{"layers": [
      {"type": "conv", "filters": 8, "kernel": 3, "padding": 1, "bias": true},
      {"type": "batch_norm"}, {"type": "activation", "function": "relu"},
      {"type": "depthwise", "kernel": [3, 5], "padding": [1, 2], "multiplier": 2},
      {"type": "max_pool", "kernel": 2, "stride": 2}, {"type": "average_pool", "kernel": 3, "padding": 1},
      {"type": "scale", "gate": [{"type": "global_pool"}, {"type": "linear", "outputs": 16}]},
      {"type": "residual", "branches": [[{"type": "conv", "filters": 16, "kernel": 1}], []]},
      {"type": "concat", "branches": [[], [{"type": "conv", "filters": 4, "kernel": 1}]]},
      {"type": "transposed", "filters": 6, "kernel": 2, "stride": 2},
      {"type": "layer_norm"}, {"type": "dropout"},
      {"type": "repeat", "times": 2, "layers": [{"type": "conv", "filters": 6, "kernel": 1}]},
      {"type": "flatten"}, {"type": "linear", "outputs": 10}]}])");
  CHECK(parameters(model) == (27 * 8 + 8) + 16 + 16 * 15 + (16 * 16 + 16) + 16 * 16 + 16 * 4 + (20 * 6 * 4 + 6) + 12 +
                                 2 * 36 + (6 * 1024 + 1) * 10 - 10 + 10);
  ShardShape shape{.micro_batch = 4, .seq_len = 1};
  const OperatorOptions options;
  CHECK(layer_forward(model, layer_kind(model, 0), shape, options).size() > 14);
  CHECK(layer_backward(model, layer_kind(model, 0), shape, options).size() > 20);
}

TEST_CASE("sequences: embedding, attention and recurrence") {
  const ModelSpec model = network(R"([{"layers": [
      {"type": "embedding", "rows": 1000, "outputs": 64}, {"type": "attention", "heads": 4},
      {"type": "lstm", "outputs": 32}, {"type": "linear", "outputs": 2}]}])",
                                  "[1, 1, 20]");
  CHECK(parameters(model) == 64000 + (4 * 64 * 64 + 4 * 64) + 4 * 32 * (64 + 32 + 2) + 33 * 2);
}

TEST_CASE("units that are alike are one kind, whatever they are called") {
  const ModelSpec model = load_model("resnet-50");
  CHECK(model.layers == 18);
  CHECK(layer_kinds(model).size() == 10);  // stem, four first blocks, four others, classifier
}

TEST_CASE("the first convolution has no gradient of its input") {
  const ModelSpec model = load_model("resnet-50");
  std::size_t input_gradients = 0;
  for (const Operator& op : layer_backward(model, layer_kind(model, 0), {.micro_batch = 2, .seq_len = 1}, {})) {
    const auto* work = std::get_if<Convolution>(&op.work);
    input_gradients += work != nullptr && work->pass == ConvolutionPass::kInputGradient ? 1 : 0;
  }
  CHECK(input_gradients == 0);
}

TEST_CASE("a batch norm that takes its activation along saves that one's kernels") {
  const ModelSpec model = load_model("resnet-50");
  OperatorOptions fused;
  fused.batch_norm = BatchNormFusion::kActivation;
  fused.images = ImageLayout::kNhwc;
  const ShardShape shape{.micro_batch = 2, .seq_len = 1};
  CHECK(layer_forward(model, layer_kind(model, 0), shape, fused).size() + 1 ==
        layer_forward(model, layer_kind(model, 0), shape, {}).size());
  // Of a bottleneck three, that behind the sum with them.
  CHECK(layer_forward(model, layer_kind(model, 2), shape, fused).size() + 3 ==
        layer_forward(model, layer_kind(model, 2), shape, {}).size());
  // Libraries have such kernels for NHWC alone, compilers for any layout.
  fused.images = ImageLayout::kNchw;
  CHECK(layer_forward(model, layer_kind(model, 0), shape, fused).size() ==
        layer_forward(model, layer_kind(model, 0), shape, {}).size());
  fused.batch_norm = BatchNormFusion::kCompiled;
  CHECK(layer_forward(model, layer_kind(model, 0), shape, fused).size() + 1 ==
        layer_forward(model, layer_kind(model, 0), shape, {}).size());
}

TEST_CASE("what does not fit together is refused, with the layer's pointer") {
  CHECK(refused(R"([{"layers": [{"type": "convolution"}]}])").pointer == "/units/0/layers/0/type");
  CHECK(refused(R"([{"layers": [{"type": "conv", "filters": 4, "kernel": 40}]}])").pointer ==
        "/units/0/layers/0/kernel");
  CHECK(refused(R"([{"layers": [{"type": "conv", "filters": 4, "kernel": 3, "groups": 2}]}])").pointer ==
        "/units/0/layers/0/groups");
  const Fault sum = refused(R"([{"layers": [{"type": "residual", "branches": [[{"type": "conv", "filters": 4,
                                                                                 "kernel": 1}], []]}]}])");
  CHECK(sum.pointer == "/units/0/layers/0/branches/1");
  CHECK(sum.problem.find("3 x 32 x 32") != std::string::npos);
  CHECK(sum.allowed.find("4 x 32 x 32") != std::string::npos);
  CHECK(refused(R"([{"layers": [{"type": "concat", "branches": [[{"type": "max_pool", "kernel": 2, "stride": 2}],
                                                                 []]}]}])")
            .pointer == "/units/0/layers/0/branches/1");
  CHECK(refused(R"([{"layers": [{"type": "scale", "gate": [{"type": "global_pool"},
                                                            {"type": "linear", "outputs": 2}]}]}])")
            .pointer == "/units/0/layers/0/gate");
  CHECK(refused(R"([{"layers": [{"type": "lstm", "outputs": 4}]}])").pointer == "/units/0/layers/0");
  CHECK(refused(R"([{"layers": [{"type": "attention", "heads": 2}]}])").pointer == "/units/0/layers/0/heads");
  CHECK(refused(R"([{"layers": [{"type": "transposed", "filters": 1, "kernel": 1, "padding": 40}]}])").pointer ==
        "/units/0/layers/0/padding");
  CHECK(refused(R"([{"layers": []}])").pointer == "/units/0/layers");
  CHECK(refused(R"([{"layers": [{"type": "repeat", "times": 3, "layers": []}]}])").pointer ==
        "/units/0/layers/0/layers");
  CHECK(refused("[]").pointer == "/units");
  CHECK(refused(R"([{"layers": [{"type": "flatten"}]}])").pointer == "/units");  // nothing trains
  CHECK(refused(R"([{"layers": [{"type": "linear", "outputs": 1}]}])", "[3, 32]").pointer == "/input");
  CHECK(refused(R"([{"layers": [{"type": "linear", "outputs": 1, "bais": true}]}])").nearest == "bias");
}

}  // namespace test_network
