#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "models/activations.hpp"
#include "models/load_model.hpp"
#include "sim/base/csv.hpp"
#include "sim/base/files.hpp"
#include "tests/models/operator_checks.hpp"
#include "tests/transformer_names.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_activations {

namespace {

constexpr double kGib = 1073741824.0;

struct Published {
  const char* model;
  double pipeline;  // stages
  double chunks;    // per stage
};

// arXiv 2205.05198, table 3.
const std::map<std::string, Published> kPublished{{"megatron-22B", {"megatron-22b", 1.0, 1.0}},
                                                  {"gpt3-175B", {"gpt3-175b", 8.0, 3.0}},
                                                  {"turing-530B", {"turing-530b", 35.0, 3.0}},
                                                  {"megatron-1T", {"megatron-1t-2022", 64.0, 1.0}}};

Bytes layer_bytes(const ModelSpec& model, const CsvTable& table, std::size_t row, const std::string& mode) {
  const ShardShape shape{.micro_batch = *table.integer(row, "micro_batch"),
                         .seq_len = *table.integer(row, "seq_len"),
                         .tp = *table.integer(row, "tp"),
                         .sequence_parallel = mode.starts_with("seq") ? SequenceParallel::kOn : SequenceParallel::kOff};
  const Recompute recompute = mode == "full"          ? Recompute::kFull
                              : mode.ends_with("sel") ? Recompute::kSelective
                                                      : Recompute::kNone;
  return total_bytes(activation_bytes(model, {}, shape, megatron_2022(), recompute));
}

double term(const std::vector<ActivationTerm>& terms, std::string_view name) {
  double bytes = 0.0;
  for (const ActivationTerm& entry : terms) {
    bytes += entry.name == name ? entry.bytes.value : 0.0;
  }
  return bytes;
}

}  // namespace

TEST_CASE("activation memory is Korthikanti's, figure 1 to every digit and figure 7 to what a plot can be read") {
  const CsvTable table = CsvTable::read(home_folder() / "validation/published/memory/memory_korthikanti.csv");
  REQUIRE(table.rows() == 28);
  int gibibytes = 0;
  int percents = 0;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const Published& published = kPublished.at(table.text(row, "model"));
    const ModelSpec model = load_model(published.model);
    const std::string& mode = table.text(row, "mode");
    CAPTURE(table.text(row, "id"));
    CHECK(model.hidden == table.integer(row, "hidden"));
    CHECK(model.layers == table.integer(row, "layers"));
    CHECK(model.heads == table.integer(row, "heads"));
    const Bytes layer = layer_bytes(model, table, row, mode);
    if (const auto printed = table.number(row, "activations_gib")) {
      // The first stage of interleaved 1F1B holds L (1 + (p - 1) / (p v)) layers' activations (section 4.2.3).
      const double in_flight =
          published.chunks > 1.0 ? 1.0 + (published.pipeline - 1.0) / (published.pipeline * published.chunks) : 1.0;
      const double gib = layer.value * static_cast<double>(model.layers) * in_flight / kGib;
      CHECK(std::abs(gib - *printed) < 5.1e-5);  // seven digits
      // 18 bytes (Megatron's fp16 weight and gradient, fp32 gradient, weight and two moments) of 12 L h^2 parameters.
      const auto h = static_cast<double>(model.hidden);
      const double states = 18.0 * 12.0 * static_cast<double>(model.layers) * h * h /
                            (static_cast<double>(*table.integer(row, "tp")) * published.pipeline * kGib);
      CHECK(std::abs(states - *table.number(row, "params_and_optimizer_gib")) < 5.1e-6);
      ++gibibytes;
    } else {
      const double percent = 100.0 * (layer / layer_bytes(model, table, row, "none"));
      CHECK(std::abs(percent - *table.number(row, "percent_of_no_recompute_tp")) < 0.15);
      ++percents;
    }
  }
  CHECK(gibibytes == 8);
  CHECK(percents == 20);
}

TEST_CASE("a GPT layer keeps the terms of the paper's equations") {
  CHECK(rc::check([] {
    ModelSpec model;
    model.heads = 32 * *rc::gen::inRange<std::int64_t>(1, 5);  // four on a rank: the softmax is fused
    model.kv_heads = model.heads;
    model.head_dim = *rc::gen::element<std::int64_t>(64, 96, 128);
    model.hidden = model.heads * model.head_dim;
    model.ffn = 4 * model.hidden;
    ShardShape shape{.micro_batch = *rc::gen::inRange<std::int64_t>(1, 9),
                     .seq_len = 8 * *rc::gen::inRange<std::int64_t>(3, 513),
                     .tp = *rc::gen::element<std::int64_t>(1, 2, 4, 8)};
    const auto t = static_cast<double>(shape.tp);
    const auto s = static_cast<double>(shape.seq_len);
    const double sbh = s * static_cast<double>(shape.micro_batch * model.hidden);
    const double scores = 5.0 * static_cast<double>(model.heads) * s / static_cast<double>(model.hidden);
    const auto bytes = [&](Recompute recompute) {
      return total_bytes(activation_bytes(model, {}, shape, megatron_2022(), recompute)).value;
    };
    const auto same = [](double a, double b) { return std::abs(a / b - 1.0) < 1e-12; };
    RC_ASSERT(same(bytes(Recompute::kNone), sbh * (10.0 + 24.0 / t + scores / t)));  // equation 2
    RC_ASSERT(same(bytes(Recompute::kSelective), sbh * (10.0 + 24.0 / t)));
    RC_ASSERT(same(bytes(Recompute::kFull), 2.0 * sbh));
    shape.sequence_parallel = SequenceParallel::kOn;
    RC_ASSERT(same(bytes(Recompute::kNone), sbh / t * (34.0 + scores)));  // equation 4
    RC_ASSERT(same(bytes(Recompute::kSelective), sbh / t * 34.0));        // equation 6
    RC_ASSERT(same(bytes(Recompute::kFull), 2.0 * sbh / t));
  }));
}

TEST_CASE("a Llama layer keeps grouped keys and values and SwiGLU's three inner tensors") {
  const ModelSpec model = load_model("llama-3-8b");
  const ShardShape shape{.micro_batch = 1, .seq_len = 8192, .tp = 4, .sequence_parallel = SequenceParallel::kOn};
  const auto terms = activation_bytes(model, {}, shape, {}, Recompute::kNone);
  const double sb = 8192.0;
  // Two norm inputs and two linear inputs of h, queries and output of h, keys and values of h / 4 each, gate, up and
  // product of f, in 2 bytes; and the log-sum-exp of flash attention, 4 bytes a head.
  const double expected = sb * (2.0 * (4 * 4096 + 2 * 4096 + 2 * 1024 + 3 * 14336) + 4.0 * 32) / 4.0;
  CHECK(total_bytes(terms).value == expected);
  CHECK(term(terms, "keys") == 2.0 * sb * 1024 / 4);
  // The gate's SiLU is one more tensor when it is a kernel of its own.
  const auto unfused = activation_bytes(model, {}, shape, {.bias_gelu = Fusion::kOff}, Recompute::kNone);
  CHECK(total_bytes(unfused).value == expected + 2.0 * sb * 14336 / 4);
}

TEST_CASE("narrow operands keep their linears' inputs in one byte") {
  const ModelSpec model = load_model("llama-3-8b");
  ShardShape shape{.micro_batch = 1, .seq_len = 8192};
  const auto wide = activation_bytes(model, {}, shape, {}, Recompute::kNone);
  shape.precision = Precision::kFp8;
  const auto narrow = activation_bytes(model, {}, shape, {}, Recompute::kNone);
  CHECK(term(narrow, "mlp_down_input") == 0.5 * term(wide, "mlp_down_input"));
  CHECK(term(narrow, "queries") == term(wide, "queries"));
  CHECK(term(narrow, "attention_output_operand") == 0.5 * term(wide, "attention_output"));
}

TEST_CASE("recomputing more never keeps more, and no term is negative or unnamed") {
  CHECK(rc::check([] {
    const ModelSpec model = load_model(*rc::gen::elementOf(checks::transformer_names()));
    const ShardShape shape{.micro_batch = *rc::gen::inRange<std::int64_t>(1, 9),
                           .seq_len = 64 * *rc::gen::inRange<std::int64_t>(1, 100),
                           .tp = *rc::gen::element<std::int64_t>(1, 2, 4, 8),
                           .sequence_parallel = *rc::gen::element(SequenceParallel::kOff, SequenceParallel::kOn)};
    for (const OperatorOptions& options : {megatron_2022(), eager(), OperatorOptions{}}) {
      const auto none = activation_bytes(model, {}, shape, options, Recompute::kNone);
      const auto selective = activation_bytes(model, {}, shape, options, Recompute::kSelective);
      const auto full = activation_bytes(model, {}, shape, options, Recompute::kFull);
      RC_ASSERT(total_bytes(none) >= total_bytes(selective));
      RC_ASSERT(total_bytes(selective) > total_bytes(full));
      RC_ASSERT(std::all_of(none.begin(), none.end(),
                            [](const ActivationTerm& kept) { return kept.bytes > Bytes{} && !kept.name.empty(); }));
    }
  }));
}

TEST_CASE("beside its layers a rank keeps the embedding's mask, and norm, projection and logits of the head") {
  const ModelSpec model = load_model("megatron-22b");
  const ShardShape shape{
      .micro_batch = 4, .seq_len = 2048, .tp = 8, .sequence_parallel = SequenceParallel::kOn, .padded_vocab = 51200};
  const double sb = 4.0 * 2048;
  CHECK(total_bytes(embedding_activation_bytes(model, shape, megatron_2022())).value == sb * 6144 / 8);
  // Section 4.3: (4 sbh / t) (1 + V / h), and the half-precision logits that the paper leaves out.
  const auto head = head_activation_bytes(model, shape, megatron_2022());
  CHECK(total_bytes(head).value - term(head, "logits") == 4.0 * sb * 6144 / 8 * (1.0 + 51200.0 / 6144));
  CHECK(term(head, "logits") == 2.0 * sb * 51200 / 8);
  CHECK(term(head_activation_bytes(model, shape, {.cross_entropy = Fusion::kOn}), "logits_softmax") == 0.0);
}

}  // namespace test_activations
