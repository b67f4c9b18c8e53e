// Laws that hold whatever blocks a layer is made of, over the whole catalogue.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "models/activations.hpp"
#include "models/blocks/parameters.hpp"
#include "models/load_model.hpp"
#include "tests/models/operator_checks.hpp"
#include "tests/transformer_names.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_blocks {

namespace {

// Ways to run a layer that differ in as much as can differ.
struct Way {
  std::string name;
  ShardShape shape;
  OperatorOptions options;
};

std::vector<Way> ways() {
  ShardShape plain{.micro_batch = 2, .seq_len = 512};
  ShardShape tensor = plain;
  tensor.tp = 4;
  tensor.sequence_parallel = SequenceParallel::kOn;
  ShardShape ring = plain;
  ring.cp = 2;
  OperatorOptions chunked;
  chunked.chunked_tensor_collectives = TensorOverlap::kOn;
  OperatorOptions grouped_off;
  grouped_off.grouped_gemm = Fusion::kOff;
  return {{"plain", plain, {}},         {"eager", plain, eager()}, {"sequence parallel", tensor, megatron_2022()},
          {"chunked", tensor, chunked}, {"ring", ring, {}},        {"an expert at a time", plain, grouped_off}};
}

template <class Check>
void for_every_layer(const Check& check) {
  for (const std::string& name : checks::transformer_names()) {
    const ModelSpec model = load_model(name);
    for (const LayerKind& kind : layer_kinds(model)) {
      for (const Way& way : ways()) {
        CAPTURE(name);
        CAPTURE(way.name);
        check(model, kind, way);
      }
    }
  }
}

// Of GEMMs alone, of one pass.
double gemm_flops(const std::vector<Operator>& operators, Pass pass) {
  double total = 0.0;
  for (const Operator& op : operators) {
    if (op.pass == pass && std::holds_alternative<Gemm>(op.work)) {
      total += std::get<Gemm>(op.work).flops().value;
    } else if (op.pass == pass && std::holds_alternative<GroupedGemm>(op.work)) {
      total += std::get<GroupedGemm>(op.work).flops().value;
    }
  }
  return total;
}

const std::vector<RecomputeModule>& all_modules() {
  static const std::vector<RecomputeModule> modules = [] {
    std::vector<RecomputeModule> out;
    for (const auto& [name, module] : kRecomputeModuleNames.rows) {
      out.push_back(module);
    }
    return out;
  }();
  return modules;
}

std::map<std::string, double> bytes_by_name(const std::vector<ActivationTerm>& terms) {
  std::map<std::string, double> out;
  for (const ActivationTerm& term : terms) {
    out[std::string(term.name)] += term.bytes.value;
  }
  return out;
}

}  // namespace

TEST_CASE("every GEMM of a layer has two gradients of its own size") {
  for_every_layer([](const ModelSpec& model, const LayerKind& kind, const Way& way) {
    const auto forward = layer_forward(model, kind, way.shape, way.options);
    const auto backward = layer_backward(model, kind, way.shape, way.options);
    const double one = gemm_flops(forward, Pass::kForward);
    const double gradients = gemm_flops(backward, Pass::kDgrad) + gemm_flops(backward, Pass::kWgrad);
    CHECK(one > 0.0);
    CHECK(gradients == doctest::Approx(2.0 * one).epsilon(1e-12));
  });
}

TEST_CASE("every weight that trains and multiplies tokens has a gradient of its size on its rank") {
  const LowRankAdapters everywhere{
      .rank = 16, .modules = {Module::kQkv, Module::kAttentionOutput, Module::kMlpUp, Module::kMlpDown}};
  for_every_layer([&](const ModelSpec& whole, const LayerKind& kind, const Way& way) {
    ModelSpec adapted = whole;
    adapted.adapters = everywhere;
    for (const ModelSpec& model : {whole, adapted}) {
      double multiply_adds = 0.0;
      for (const Weight& weight : layer_weights(model, kind, way.shape)) {
        const bool trains = !model.adapters || weight.of == WeightOf::kAdapter;
        multiply_adds += trains ? weight.multiplied * static_cast<double>(weight.tokens) : 0.0;
      }
      const auto backward = layer_backward(model, kind, way.shape, way.options);
      CAPTURE(model.adapters.has_value());
      CHECK(gemm_flops(backward, Pass::kWgrad) == doctest::Approx(2.0 * multiply_adds).epsilon(1e-12));
    }
  });
}

TEST_CASE("the kernels of a layer on one rank do what its weights and tokens say") {
  // Fused attention apart, whose kernels count differently: forward GEMMs are a third of the model's FLOPs.
  for (const std::string& name : checks::transformer_names()) {
    const ModelSpec model = load_model(name);
    if (model.encoder_layers > 0 || model.vision) {
      continue;  // tokens of two lengths; one more token than patches
    }
    const ShardShape shape{.micro_batch = 1, .seq_len = 512};
    double gemms = 0.0;
    double attention = 0.0;
    for (std::int64_t index = 0; index < model.layers; ++index) {
      const auto forward = layer_forward(model, layer_kind(model, index), shape, {});
      gemms += gemm_flops(forward, Pass::kForward);
      attention += executed_flops(forward).value - gemm_flops(forward, Pass::kForward);
    }
    ModelSpec bare = model;
    bare.predicted_tokens = 0;
    const double logits = 6.0 * static_cast<double>(model.vocab * model.hidden);
    const double layers = 512.0 * (flops_per_token(bare, 512).value - logits);
    CAPTURE(name);
    CHECK(layers == doctest::Approx(3.0 * (gemms + attention)).epsilon(1e-9));
  }
}

TEST_CASE("what is recomputed is no more than the forward pass, and what is kept instead no more than without") {
  for_every_layer([](const ModelSpec& model, const LayerKind& kind, const Way& way) {
    const auto keeps = [&](const RecomputePlan& plan) {
      return activation_bytes(model, kind, way.shape, way.options, plan);
    };
    const auto forward = names(layer_forward(model, kind, way.shape, way.options));
    const std::map<std::string, double> whole = bytes_by_name(keeps(Recompute::kNone));
    for (const RecomputeModule module : all_modules()) {
      const RecomputePlan plan(std::vector{module});
      auto left = forward;
      for (const std::string& name : names(layer_recompute(model, kind, way.shape, way.options, plan))) {
        const auto found = std::find(left.begin(), left.end(), name);
        CHECK(found != left.end());
        left.erase(left.begin(), found == left.end() ? found : found + 1);  // in the order of the forward pass
      }
      for (const auto& [name, bytes] : bytes_by_name(keeps(plan))) {
        REQUIRE(whole.count(name) == 1);
        CHECK(bytes <= whole.at(name));
      }
    }
    // Together they drop what each drops.
    const RecomputePlan all(all_modules());
    CHECK(total_bytes(keeps(all)) <= total_bytes(keeps(RecomputePlan(std::vector{RecomputeModule::kNorm}))));
    CHECK(keeps(Recompute::kFull).size() == 1);
  });
}

TEST_CASE("a split backward pass keeps the operands of the list's weight gradients") {
  for_every_layer([](const ModelSpec& model, const LayerKind& kind, const Way& way) {
    // C[m, n] = A[k, m]^T B[k, n]: the gradient of an output and an input, k tokens of each.
    double gradients = 0.0;
    double inputs = 0.0;
    for (const Operator& op : layer_backward(model, kind, way.shape, way.options)) {
      if (op.pass != Pass::kWgrad) {
        continue;
      }
      if (const auto* gemm = std::get_if<Gemm>(&op.work)) {
        gradients += static_cast<double>(gemm->k * gemm->m);
        inputs += static_cast<double>(gemm->k * gemm->n);
      } else if (const auto* grouped = std::get_if<GroupedGemm>(&op.work)) {
        gradients += static_cast<double>(grouped->total_tokens() * grouped->n);
        inputs += static_cast<double>(grouped->total_tokens() * grouped->k);
      }
    }
    const double kept = weight_gradient_bytes(model, kind, way.shape, way.options).value / 2.0;
    CHECK(kept > gradients);
    CHECK(kept <= gradients + inputs);  // several weights may share an input
  });
}

TEST_CASE("weights that read one tensor keep it once, and what sequence parallelism cuts as a shard") {
  // Attention and MLP side by side, as in GPT-J: one norm's output goes to q, k, v and to the MLP.
  ModelSpec model = load_model("gpt2-medium");
  model.parallel_block = Presence::kPresent;
  const double h = 1024.0;
  const double qkv = 3.0 * h;
  const ShardShape shape{.micro_batch = 1, .seq_len = 2048};
  CHECK(weight_gradient_bytes(model, {}, shape, {}).value ==
        2.0 * 2048.0 * (h + qkv + (h + h) + 4.0 * h + (4.0 * h + h)));
  // Four ranks: a quarter of the normed tensor and of what is cut by columns or rows; whole gradients of both outputs.
  ShardShape cut = shape;
  cut.tp = 4;
  cut.sequence_parallel = SequenceParallel::kOn;
  CHECK(weight_gradient_bytes(model, {}, cut, {}).value ==
        2.0 * 2048.0 * ((h + qkv + h + 4.0 * h + 4.0 * h) / 4.0 + 2.0 * h));
}

}  // namespace test_blocks
