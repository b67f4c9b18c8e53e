// What layers recompute, and what they keep instead.
#include <doctest/doctest.h>

#include <algorithm>

#include "models/activations.hpp"
#include "models/load_model.hpp"
#include "tests/models/operator_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_recompute {

namespace {

double bytes_of(const std::vector<ActivationTerm>& terms, std::string_view name) {
  double total = 0.0;
  for (const ActivationTerm& term : terms) {
    total += term.name == name ? term.bytes.value : 0.0;
  }
  return total;
}

const LayerKind kExpertLayer{.feed_forward = FeedForward::kExperts};

}  // namespace

TEST_CASE("what is recomputed is a part of the forward, for every module of every kind of layer") {
  for (const char* name : {"llama-3-8b", "deepseek-v3", "mixtral-8x7b", "gemma-2-9b", "t5-base"}) {
    const ModelSpec model = load_model(name);
    const ShardShape shape{.micro_batch = 1, .seq_len = 512};
    for (const LayerKind& kind : layer_kinds(model)) {
      auto forward = names(layer_forward(model, kind, shape, {}));
      std::sort(forward.begin(), forward.end());
      for (const auto& [module_name, module] : kRecomputeModuleNames.rows) {
        CAPTURE(name);
        const std::string_view module_text = module_name;
        CAPTURE(module_text);
        auto again = names(layer_recompute(model, kind, shape, {}, RecomputePlan({module})));
        std::sort(again.begin(), again.end());
        CHECK(std::includes(forward.begin(), forward.end(), again.begin(), again.end()));
      }
      CHECK(layer_recompute(model, kind, shape, {}, Recompute::kNone).empty());
      CHECK(names(layer_recompute(model, kind, shape, {}, Recompute::kFull)) ==
            names(layer_forward(model, kind, shape, {})));
    }
  }
}

TEST_CASE("every module that is recomputed keeps less, and full recomputation least") {
  struct Case {
    const char* model;
    LayerKind kind;
    RecomputeModule module;
  };
  for (const Case& one :
       {Case{"llama-3-8b", {}, RecomputeModule::kCoreAttention}, Case{"llama-3-8b", {}, RecomputeModule::kActivation},
        Case{"llama-3-8b", {}, RecomputeModule::kNorm}, Case{"llama-3-8b", {}, RecomputeModule::kMlp},
        Case{"mixtral-8x7b", kExpertLayer, RecomputeModule::kActivation},
        Case{"mixtral-8x7b", kExpertLayer, RecomputeModule::kExperts},
        Case{"deepseek-v3", kExpertLayer, RecomputeModule::kLatentUp}}) {
    const ModelSpec model = load_model(one.model);
    const ShardShape shape{.micro_batch = 1, .seq_len = 4096};
    CAPTURE(kRecomputeModuleNames.name_of(one.module));
    const Bytes none = total_bytes(activation_bytes(model, one.kind, shape, {}, Recompute::kNone));
    const Bytes some = total_bytes(activation_bytes(model, one.kind, shape, {}, RecomputePlan({one.module})));
    const Bytes full = total_bytes(activation_bytes(model, one.kind, shape, {}, Recompute::kFull));
    CHECK(some < none);
    CHECK(full < some);
  }
}

TEST_CASE("experts keep their inputs, activations and routing of the tokens that they got") {
  const ModelSpec model = load_model("mixtral-8x7b");
  const ShardShape shape{.micro_batch = 1, .seq_len = 4096, .ep = 4};
  const auto terms = activation_bytes(model, kExpertLayer, shape, {}, Recompute::kNone);
  const double routed = 8192;
  CHECK(bytes_of(terms, "expert_input") == 2.0 * routed * 4096);
  CHECK(bytes_of(terms, "expert_activation_input") == 2.0 * routed * 2 * 14336);
  CHECK(bytes_of(terms, "expert_down_input") == 2.0 * routed * 14336);
  CHECK(bytes_of(terms, "router_probabilities") == 5.0 * 4096 * 8);
  // The layer's input, the attention's, and what a dense layer keeps of attention: 2 bytes of h and 2 g d + a d twice.
  const double attention = 2.0 * 4096 * (2 * 4096 + 2 * 1024 + 2 * 4096) + 4.0 * 4096 * 32;
  const double norms_and_inputs = 2.0 * 4096 * 2 * 4096;
  CHECK(total_bytes(terms).value == attention + norms_and_inputs + 2.0 * routed * (4096 + 3 * 14336) + 5.0 * 4096 * 8);
  // A rank with half as many tokens again keeps half as much again of what follows the dispatch.
  ShardShape loaded = shape;
  loaded.routed_load = 1.5;
  const auto more = activation_bytes(model, kExpertLayer, loaded, {}, Recompute::kNone);
  CHECK(total_bytes(more).value - total_bytes(terms).value == 0.5 * 2.0 * routed * (4096 + 3 * 14336));
}

TEST_CASE("latent attention keeps its narrow projections beside the expanded heads") {
  const ModelSpec model = load_model("deepseek-v3");
  const ShardShape shape{.micro_batch = 1, .seq_len = 4096};
  const auto terms = activation_bytes(model, {}, shape, {}, Recompute::kNone);
  CHECK(bytes_of(terms, "queries") == 2.0 * 4096 * 128 * 192);
  CHECK(bytes_of(terms, "keys") == 2.0 * 4096 * 128 * 192);
  CHECK(bytes_of(terms, "values") == 2.0 * 4096 * 128 * 128);
  CHECK(bytes_of(terms, "query_up_input") == 2.0 * 4096 * 1536);
  CHECK(bytes_of(terms, "key_value_norm_input") == 2.0 * 4096 * (512 + 64));
  const auto again = activation_bytes(model, {}, shape, {}, RecomputePlan({RecomputeModule::kLatentUp}));
  CHECK(bytes_of(again, "queries") == 0.0);
  CHECK(bytes_of(again, "query_up_input") == bytes_of(terms, "query_up_input"));
}

TEST_CASE("context parallelism divides what a layer keeps") {
  const ModelSpec model = load_model("llama-3-8b");
  const Bytes whole = total_bytes(activation_bytes(model, {}, {.seq_len = 32768}, {}, Recompute::kNone));
  const Bytes part = total_bytes(activation_bytes(model, {}, {.seq_len = 32768, .cp = 8}, {}, Recompute::kNone));
  CHECK(8.0 * part == whole);
}

TEST_CASE("chunked collectives move what the whole ones moved, beside the GEMMs, but for one part of each scatter") {
  const ModelSpec model = load_model("gpt3-175b");
  const ShardShape shape{.micro_batch = 1, .seq_len = 2048, .tp = 8, .sequence_parallel = SequenceParallel::kOn};
  const OperatorOptions chunked{.chunked_tensor_collectives = TensorOverlap::kOn};
  const auto whole = layer_forward(model, {}, shape, {});
  const auto parts = layer_forward(model, {}, shape, chunked);
  CHECK(executed_flops(whole) == executed_flops(parts));
  const Bytes tensor{1.0 * 2048 * 12288 * 2};
  Bytes exchanged{};
  Bytes scattered{};
  Bytes exposed{};
  for (const Operator& op : parts) {
    const auto* collective = std::get_if<GroupCollective>(&op.work);
    if (collective != nullptr) {
      (collective->op == CollectiveOp::kSendRecv ? exchanged : scattered) += collective->size;
      exposed += collective->overlapped_operators == 0 ? collective->size : Bytes{};
    }
  }
  // A gather of a tensor is seven exchanges of an eighth; two gathers and two scatters.
  CHECK(exchanged == 2.0 * 7.0 / 8.0 * tensor);
  CHECK(scattered == 2.0 * tensor);
  CHECK(exposed == 2.0 * tensor / 4.0);
  const auto backward = layer_backward(model, {}, shape, chunked);
  CHECK(executed_flops(backward) == executed_flops(layer_backward(model, {}, shape, {})));
}

TEST_CASE("narrow formats are written with their scales, nvfp4 after a look for the maximum") {
  const ModelSpec model = load_model("llama-3-8b");
  const double elements = 8192.0 * (3 * 4096 + 14336);  // inputs of the four linears
  struct Case {
    Precision precision;
    double written;  // bytes per element and copy
    double looked;
  };
  for (const Case& one :
       {Case{Precision::kFp8, 1.0, 0.0}, Case{Precision::kFp8Block, 1.0 + 4.0 / 128.0, 0.0},
        Case{Precision::kMxFp8, 1.0 + 1.0 / 32.0, 0.0}, Case{Precision::kNvFp4, 0.5 + 1.0 / 16.0, 2.0}}) {
    CAPTURE(kPrecisionNames.name_of(one.precision));
    const ShardShape shape{.micro_batch = 1, .seq_len = 8192, .precision = one.precision};
    const auto forward = layer_forward(model, {}, shape, {});
    CHECK(traffic(forward, "quantize").value == elements * (2.0 + 2.0 * one.written));
    CHECK(traffic(forward, "tensor_maximum").value == elements * one.looked);
  }
}

}  // namespace test_recompute
