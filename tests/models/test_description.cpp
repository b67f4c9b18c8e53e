// What is read off a description, on one that is made by hand.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "models/blocks/description.hpp"
#include "tests/models/operator_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_description {

namespace {

constexpr OperatorOptions kOptions;
constexpr Bytes kHalf{2.0};

ModelSpec small_model() {
  return {.layers = 1, .hidden = 64, .heads = 4, .kv_heads = 4, .head_dim = 16, .ffn = 256, .vocab = 100};
}

Description empty(const ModelSpec& model) {
  return Description(ShardContext(model, {.micro_batch = 1, .seq_len = 8}, kOptions));
}

// A kernel forward, and one backward under the same name.
void add(Description& description, std::string_view name) {
  description.elementwise(10, {name, kHalf}, {name, kHalf});
}

using Names = std::vector<std::string>;

Names kept_names(const Description& description, const RecomputePlan& plan) {
  Names out;
  for (const ActivationTerm& term : description.kept(plan)) {
    out.emplace_back(term.name);
  }
  return out;
}

}  // namespace

TEST_CASE("the backward list runs the steps last first, but for those that wait") {
  const ModelSpec model = small_model();
  Description description = empty(model);
  for (const std::string_view name : {"a", "b", "c", "d"}) {
    add(description, name);
  }
  CHECK(names(description.forward()) == Names{"a", "b", "c", "d"});
  CHECK(names(description.backward()) == Names{"d", "c", "b", "a"});
  description.backward_after(2, 1);  // c waits for b
  CHECK(names(description.forward()) == Names{"a", "b", "c", "d"});
  CHECK(names(description.backward()) == Names{"d", "b", "c", "a"});
}

TEST_CASE("steps that are grouped are one, which runs last first within") {
  const ModelSpec model = small_model();
  Description description = empty(model);
  add(description, "a");
  const Step group = description.grouped([&] {
    add(description, "b");
    add(description, "c");
    description.keep("kept by b", 10, kHalf);
  });
  add(description, "d");
  description.step(group);
  CHECK(names(description.forward()) == Names{"a", "d", "b", "c"});
  CHECK(names(description.backward()) == Names{"c", "b", "d", "a"});
  CHECK(kept_names(description, Recompute::kNone) == Names{"kept by b"});
}

TEST_CASE("a module that is recomputed is repeated in forward order, and what it writes is not kept") {
  const ModelSpec model = small_model();
  Description description = empty(model);
  description.set_input({.name = "input", .elements = 10, .element = kHalf});
  add(description, "before");
  const Tensor input = description.written("core input", 10, kHalf);
  Tensor written;
  {
    const auto scope = description.repeated_by(RecomputeModule::kCoreAttention);
    add(description, "first");
    description.keep(input);  // written before the scope: it is what the module is recomputed from
    add(description, "second");
    written = description.written("core output", 10, kHalf);
  }
  add(description, "after");
  description.keep(written);
  description.keep_as_input(description.written("only where it is recomputed", 10, kHalf),
                            RecomputeModule::kCoreAttention);

  CHECK(description.repeated(Recompute::kNone).empty());
  CHECK(names(description.repeated(Recompute::kSelective)) == Names{"first", "second"});
  CHECK(description.repeated(RecomputePlan(std::vector{RecomputeModule::kMlp})).empty());
  CHECK(names(description.repeated(Recompute::kFull)) == names(description.forward()));

  CHECK(kept_names(description, Recompute::kNone) == Names{"core input", "core output"});
  CHECK(kept_names(description, Recompute::kSelective) == Names{"core input", "only where it is recomputed"});
  CHECK(kept_names(description, Recompute::kFull) == Names{"input"});
}

TEST_CASE("a tensor that two weights read is kept once, for the backward pass and for its second half") {
  const ModelSpec model = small_model();
  Description description = empty(model);
  const Tensor shared = description.written("normed", 8 * 64, kHalf);
  description.keep_for_weights(shared, 8 * 30);
  description.keep_for_weights(shared, 8 * 20);
  description.keep("read by no weight", 8, kHalf);
  const std::vector<ActivationTerm> terms = description.kept(Recompute::kNone);
  REQUIRE(terms.size() == 2);
  CHECK(terms.front().bytes.value == 8 * 64 * 2.0);
  // The tensor and the gradients of both outputs.
  CHECK(description.kept_for_weights().value == 2.0 * 8 * (64 + 30 + 20));
}

TEST_CASE("a weight that trains costs three passes over its tokens, a frozen one two") {
  ModelSpec model = small_model();
  Description description = empty(model);
  description.weight({.elements = 100, .multiplied = 100.0, .tokens = 8});
  description.weight({.elements = 10, .multiplied = 10.0, .tokens = 8, .of = WeightOf::kAdapter});
  description.products(7.0);
  // A multiply-add is two FLOPs, forward and for each gradient.
  CHECK(description.model_flops().value == 6.0 * (100.0 * 8.0 + 10.0 * 8.0 + 7.0));
  model.adapters = LowRankAdapters{.rank = 1, .modules = {}};
  CHECK(description.model_flops().value == 4.0 * 100.0 * 8.0 + 6.0 * (10.0 * 8.0 + 7.0));
}

}  // namespace test_description
