// Low-rank adapters on a frozen base.
#include <doctest/doctest.h>

#include "models/activations.hpp"
#include "models/load_model.hpp"
#include "tests/models/operator_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_adapters {

namespace {

ModelSpec adapted(const char* name, std::int64_t rank, std::vector<Module> modules) {
  ModelSpec model = load_model(name);
  model.adapters = LowRankAdapters{.rank = rank, .modules = std::move(modules)};
  return model;
}

const std::vector<Module> kAll = {Module::kQkv, Module::kAttentionOutput, Module::kMlpUp, Module::kMlpDown};

}  // namespace

TEST_CASE("only the adapters train: rank times in plus out of each linear") {
  const ModelSpec model = adapted("llama-3-8b", 16, {Module::kQkv});
  CHECK(adapter_parameters(model) == 32 * 16 * (4096 + 6144));
  CHECK(trainable_parameters(model) == adapter_parameters(model));
  CHECK(parameters(model) == 8'030'261'248);  // the base is counted as published
  const ParameterShare share = layer_share(model, {}, {.seq_len = 8192});
  CHECK(share.trainable() == 16 * (4096 + 6144));
  CHECK(share.total() == layer_parameters(model, {}) + share.trainable());
  CHECK(embedding_share(model, {.seq_len = 8192}).trainable() == 0);
  CHECK(trainable_parameters(load_model("llama-3-8b")) == 8'030'261'248);
}

TEST_CASE("a tensor-parallel rank cuts the adapter's matrix on the side where its linear is cut") {
  const ShardShape shape{.seq_len = 8192, .tp = 4};
  // Columns of 4096 x 6144: A of 16 x 4096 is whole, B is cut. Rows of 14336 x 4096: B is whole.
  const ParameterShare columns = layer_share(adapted("llama-3-8b", 16, {Module::kQkv}), {}, shape);
  CHECK(columns.trainable() == 16 * (4096 + 6144 / 4));
  CHECK(columns.alike == 16 * 4096);
  CHECK(columns.alike_tensors == 1);
  const ParameterShare rows = layer_share(adapted("llama-3-8b", 16, {Module::kMlpDown}), {}, shape);
  CHECK(rows.trainable() == 16 * (14336 / 4 + 4096));
  CHECK(rows.alike == 16 * 4096);
  CHECK(layer_share(adapted("llama-3-8b", 16, kAll), {}, {.seq_len = 8192}).alike == 0);
}

TEST_CASE("a frozen base has gradients of its inputs, not of its weights") {
  const ModelSpec model = adapted("llama-3-8b", 16, kAll);
  for (const auto& list : {layer_backward(model, {}, {.micro_batch = 1, .seq_len = 8192}, {}),
                           head_backward(model, {.micro_batch = 1, .seq_len = 8192}, {}),
                           embedding_backward(model, {.micro_batch = 1, .seq_len = 8192}, {})}) {
    for (const Operator& op : list) {
      if (op.pass == Pass::kWgrad) {
        CHECK((op.name == "adapter_up" || op.name == "adapter_down" || op.name == "gradient_accumulation"));
      }
    }
  }
  const auto backward = layer_backward(model, {}, {.micro_batch = 1, .seq_len = 8192}, {});
  CHECK(gemms(backward, "mlp_down", Pass::kDgrad).size() == 1);
  const auto down = gemms(backward, "adapter_down", Pass::kWgrad);
  REQUIRE(down.size() == 4);  // mlp_down, mlp_up, output, qkv
  CHECK(down[0].m == 16);
  CHECK(down[0].n == 14336);
  CHECK(down[0].k == 8192);
}

TEST_CASE("a frozen embedding has no backward pass and keeps nothing for one") {
  const ShardShape shape{.micro_batch = 2, .seq_len = 1024, .tp = 4, .sequence_parallel = SequenceParallel::kOn};
  for (const char* name : {"llama-3-8b", "gpt2-xl", "bloom-176b", "vit-l-16"}) {
    CAPTURE(name);
    const ModelSpec model = adapted(name, 16, {Module::kQkv});
    CHECK(embedding_backward(model, shape, {}).empty());
    CHECK(embedding_activation_bytes(model, shape, {}).empty());
    CHECK(!embedding_backward(load_model(name), shape, {}).empty());
    CHECK(!embedding_forward(model, shape, {}).empty());
  }
}

TEST_CASE("FLOPs of a frozen base are two thirds of a trained one's, adapters and attention whole") {
  for (const char* name : {"llama-3-8b", "mixtral-8x7b"}) {
    const ModelSpec model = adapted(name, 16, kAll);
    const ShardShape shape{.micro_batch = 1, .seq_len = 4096};
    double executed = 0.0;
    double attention = 0.0;
    for (std::int64_t layer = 0; layer < model.layers; ++layer) {
      const LayerKind kind = layer_kind(model, layer);
      for (const auto& list : {layer_forward(model, kind, shape, {}), layer_backward(model, kind, shape, {})}) {
        executed += executed_flops(list).value;
        for (const Operator& op : list) {
          const auto* work = std::get_if<Attention>(&op.work);
          attention += work != nullptr ? work->flops().value : 0.0;
        }
      }
    }
    executed += executed_flops(head_forward(model, shape, {})).value;
    executed += executed_flops(head_backward(model, shape, {})).value;
    // Flash attention executes 3.5 forwards, counted are 3.
    const double expected = flops_per_token(model, 4096).value * 4096 + attention / 7.0;
    CHECK(executed == doctest::Approx(expected).epsilon(1e-12));
    ModelSpec trained = model;
    trained.adapters.reset();
    CHECK(flops_per_token(model, 4096) < flops_per_token(trained, 4096));
  }
}

TEST_CASE("inputs of linears that nothing trains are not kept") {
  const ShardShape shape{.micro_batch = 1, .seq_len = 8192};
  const ModelSpec trained = load_model("llama-3-8b");
  const ModelSpec some = adapted("llama-3-8b", 16, {Module::kQkv});
  const Bytes all = total_bytes(activation_bytes(trained, {}, shape, {}, Recompute::kNone));
  const Bytes few = total_bytes(activation_bytes(some, {}, shape, {}, Recompute::kNone));
  // Without the inputs of up (h) and down (f), with the adapter's narrow activation; flash attention's backward still
  // needs its output.
  CHECK(all - few == Bytes{2.0 * 8192 * (4096 + 14336 - 16)});
}

}  // namespace test_adapters
