// Recommendation models: what their tables hold, move and exchange.
#include <doctest/doctest.h>

#include <string>
#include <variant>

#include "models/load_model.hpp"
#include "models/operators.hpp"

using namespace trainyard;

namespace test_tables {

namespace {

ModelSpec small(const std::string& layers) {
  return read_model(
      JsonReader(parse_json(R"({"input": [4], "units": [{"layers": [)" + layers + "]}]}", "model.json"), "model.json"),
      "small");
}

// Bytes of all exchanges of a micro-batch of 32, forward and backward, as nccl-tests counts them.
double exchanged(const ModelSpec& model, std::int64_t ranks) {
  const ShardShape shape{.micro_batch = 32, .seq_len = 1, .ep = ranks};
  double bytes = 0.0;
  for (const LayerKind& kind : layer_kinds(model)) {
    for (const auto& list : {layer_forward(model, kind, shape, {}), layer_backward(model, kind, shape, {})}) {
      for (const Operator& one : list) {
        if (const auto* collective = std::get_if<GroupCollective>(&one.work)) {
          CHECK(collective->group == ParallelGroup::kExpert);
          bytes += collective->size.value;
        }
      }
    }
  }
  return bytes;
}

constexpr const char* kTables = R"({"type": "tables", "rows": [10, 20, 30], "outputs": 4, "lookups": 2})";

}  // namespace

TEST_CASE("MLPerf's DLRM has 24 billion parameters, nearly all in its tables") {
  const ModelSpec model = load_model("dlrm");
  const std::int64_t mlps = (13 * 512 + 512) + (512 * 256 + 256) + (256 * 128 + 128) + (479 * 1024 + 1024) +
                            (1024 * 1024 + 1024) + (1024 * 512 + 512) + (512 * 256 + 256) + (256 + 1);
  const std::int64_t rows = 187767399;
  CHECK(parameters(model) == mlps + rows * 128);
  CHECK(static_cast<double>(parameters(model)) == doctest::Approx(24.04e9).epsilon(0.001));
}

TEST_CASE("what ranks share out of tables they hold, and no optimizer updates it") {
  const ModelSpec model = load_model("dlrm");
  const ShardShape shape{.micro_batch = 1, .seq_len = 1, .ep = 8};
  ParameterShare share;
  for (const LayerKind& kind : layer_kinds(model)) {
    share += layer_share(model, kind, shape);
  }
  CHECK(share.experts == (std::int64_t{187767399} * 128 + 7) / 8);
  CHECK(share.trainable_experts == 0);
  CHECK(share.trainable_shared == share.shared);
}

TEST_CASE("ranks exchange indices, vectors and their gradients, one rank nothing") {
  const ModelSpec model =
      small(std::string(kTables) + R"(, {"type": "interaction"}, {"type": "linear", "outputs": 1})");
  CHECK(exchanged(model, 1) == 0.0);
  // 32 samples in 3 tables: 2 indices of 8 bytes each; vectors of 4 numbers of 2 bytes, there and back.
  CHECK(exchanged(model, 4) == 32.0 * 3.0 * (2.0 * 8.0 + 2.0 * 4.0 * 2.0));
}

TEST_CASE("pairs of vectors stand beside the first one") {
  const ModelSpec model =
      small(std::string(kTables) + R"(, {"type": "interaction"}, {"type": "linear", "outputs": 1})");
  // The tables' vectors and what stands beside them are four, of six pairs.
  CHECK(model.network->units.front().layers[1].out.channels == 4 + 6);
  CHECK(parameters(model) == 60 * 4 + (4 + 6) + 1);
}

TEST_CASE("tables of another width than what they stand beside, or in a branch, are refused with their place") {
  CHECK_THROWS_WITH_AS(small(R"({"type": "tables", "rows": [10], "outputs": 8})"),
                       doctest::Contains("/units/0/layers/0/outputs"), UserError);
  CHECK_THROWS_WITH_AS(small(R"({"type": "tables", "rows": [], "outputs": 4})"),
                       doctest::Contains("/units/0/layers/0/rows"), UserError);
  CHECK_THROWS_WITH_AS(small(std::string(R"({"type": "concat", "branches": [[)") + kTables + "]]}"),
                       doctest::Contains("/units/0/layers/0/branches/0"), UserError);
  CHECK_THROWS_WITH_AS(small(R"({"type": "linear", "outputs": 4}, {"type": "interaction"})"),
                       doctest::Contains("/units/0/layers/1"), UserError);
}

}  // namespace test_tables
