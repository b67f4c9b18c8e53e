// Gradients of what tensor-parallel ranks hold alike are summed over them once a step.
#include <doctest/doctest.h>

#include <string>

#include "sim/program/assembly/build_program.hpp"
#include "sim/scenario/read_scenario.hpp"

using namespace trainyard;

namespace test_gradient_sums {

namespace {

struct Sum {
  int calls = 0;
  double bytes = 0.0;
  int copies = 0;  // kernels that bring the sums back
};

Sum sum_of(const char* text) {
  const Scenario scenario = read_scenario(parse_json(text, "job.json"), "job.json");
  const Program program = build_program(scenario, make_layout(scenario), *calibrated_kernel_costs(scenario.gpu));
  Sum sum;
  const RankProgram& rank = program.classes.front();
  for (const Operation& operation : rank.operations) {
    const std::string& name = program.names[static_cast<std::size_t>(operation.name)];
    if (name == "copy gradients held alike") {
      sum.copies += operation.run.kernels;
    }
    if (name == "reduce gradients held alike") {
      const Communication& one = program.communications[rank.communications[operation.first_communication].index()];
      CHECK(one.op == CollectiveOp::kAllReduce);
      CHECK(one.groups.front().size() == 2);
      ++sum.calls;
      sum.bytes += one.size.value;
    }
  }
  return sum;
}

}  // namespace

TEST_CASE("with sequence parallelism norms and biases of row-parallel linears are summed in one all-reduce") {
  const Sum sum = sum_of(R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 2, "layout": {"tp": 2},
      "training": {"global_batch": 2, "grad_dtype": "fp32"}, "framework": "megatron-core"})");
  // A layer: two norms of two vectors, and the biases of attention output and second MLP matrix; one norm at the end.
  CHECK(sum.calls == 1);
  CHECK(sum.bytes == 4.0 * (24.0 * 6.0 + 2.0) * 1024.0);
  CHECK(sum.copies == 24 * 6 + 2);
}

TEST_CASE("without sequence parallelism every rank has seen all tokens, but only its heads") {
  CHECK(sum_of(R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 2,
      "layout": {"tp": 2, "sequence_parallel": false}, "framework": "megatron-core"})")
            .calls == 0);
  CHECK(sum_of(R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 1, "framework": "megatron-core"})").calls ==
        0);
  // Norms over the 128 numbers of each head's query and key, 28 layers.
  const Sum sum = sum_of(R"({"model": "qwen3-0.6b", "cluster": "dgx-a100", "gpus": 2,
      "layout": {"tp": 2, "sequence_parallel": false}, "training": {"grad_dtype": "fp32", "seq_len": 2048},
      "framework": "megatron-core"})");
  CHECK(sum.bytes == 4.0 * 28.0 * 2.0 * 128.0);
}

TEST_CASE("routers and down-projections of latent attention are held alike too") {
  const Sum sum = sum_of(R"({"model": "deepseek-v2-lite", "cluster": "dgx-h100", "gpus": 2,
      "layout": {"tp": 2, "ep": 2, "etp": 1}, "training": {"grad_dtype": "fp32", "recompute": "none"},
      "framework": "megatron-core"})");
  const double h = 2048.0;
  const double layer = 2.0 * h + h * (512.0 + 64.0) + 512.0;  // norms, down-projection and its norm
  CHECK(sum.bytes == 4.0 * (27.0 * layer + 26.0 * h * 64.0 + h));
}

TEST_CASE("of a frozen base nothing is summed but the adapters' matrices that no rank cuts") {
  // Of qkv (columns are cut) A [8, 1024], of mlp_down (rows are cut) B [1024, 8], in each of two layers: with sequence
  // parallelism or without, a rank has seen half of the width only.
  for (const char* sequence_parallel : {"true", "false"}) {
    const Sum sum = sum_of((R"({"model": {"family": "llama", "layers": 2, "hidden": 1024, "heads": 16, "ffn": 2048,
        "vocab": 32000, "seq_len": 2048, "adapters": {"rank": 8, "modules": ["qkv", "mlp_down"]}},
        "cluster": "dgx-a100", "gpus": 2, "layout": {"tp": 2, "sequence_parallel": )" +
                            std::string(sequence_parallel) +
                            R"(}, "training": {"grad_dtype": "fp32"}, "framework": "megatron-core"})")
                               .c_str());
    CHECK(sum.calls == 1);
    CHECK(sum.bytes == 4.0 * 2.0 * 8.0 * (1024.0 + 1024.0));
    CHECK(sum.copies == 2 * 2);
  }
}

}  // namespace test_gradient_sums
