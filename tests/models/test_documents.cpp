// Sequences that are packed of several documents.
#include <doctest/doctest.h>

#include <variant>
#include <vector>

#include "models/load_model.hpp"
#include "models/operators.hpp"

using namespace trainyard;

namespace test_documents {

namespace {

std::vector<Attention> attentions(const ModelSpec& model, const ShardShape& shape) {
  std::vector<Attention> out;
  const LayerKind kind = layer_kind(model, 0);
  for (const auto& list : {layer_forward(model, kind, shape, {}), layer_backward(model, kind, shape, {})}) {
    for (const Operator& one : list) {
      if (const auto* attention = std::get_if<Attention>(&one.work)) {
        out.push_back(*attention);
      }
    }
  }
  return out;
}

std::vector<Operator> forward(const ModelSpec& model, const ShardShape& shape, const OperatorOptions& options = {}) {
  return layer_forward(model, layer_kind(model, 0), shape, options);
}

void check_alike(const std::vector<Operator>& a, const std::vector<Operator>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].name == b[i].name);
    CHECK((a[i].work == b[i].work));
  }
}

}  // namespace

TEST_CASE("documents attend as so many sequences of their length do") {
  const ModelSpec model = load_model("bert-large");
  const ShardShape packed{.micro_batch = 4, .seq_len = 512, .document_len = 128};
  const ShardShape apart{.micro_batch = 16, .seq_len = 128};
  CHECK(attentions(model, packed) == attentions(model, apart));
  CHECK(attentions(model, packed).size() == 2);
  CHECK(flops_per_token(model, 512, 128).value < flops_per_token(model, 512).value);
}

TEST_CASE("a document that fills its sequence changes nothing") {
  const ModelSpec model = load_model("gpt2");
  const ShardShape one{.micro_batch = 2, .seq_len = 1024, .document_len = 1024};
  const ShardShape plain{.micro_batch = 2, .seq_len = 1024};
  check_alike(forward(model, one), forward(model, plain));
  CHECK(flops_per_token(model, 1024, 1024).value == flops_per_token(model, 1024).value);
}

TEST_CASE("unfused attention computes the scores of whole sequences, whatever is packed") {
  const ModelSpec model = load_model("bert-large");
  const OperatorOptions unfused{.attention = AttentionKernel::kUnfused};
  check_alike(forward(model, {.micro_batch = 4, .seq_len = 512, .document_len = 128}, unfused),
              forward(model, {.micro_batch = 4, .seq_len = 512}, unfused));
}

}  // namespace test_documents
