// What overlap and bandwidth mean for data-parallel strategies, on whole jobs.
#include <fmt/format.h>

#include "sim/engine/simulate.hpp"
#include "sim/program/assembly/build_program.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "tests/theory/whole_jobs.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_data_parallel {

namespace {

// Every collective is over when its last member has reached it.
class FreeNetwork final : public NetworkCosts {
 public:
  CollectivePlan plan(const CollectiveRequest&) const override { return {}; }
};

// Kernels that only move memory take no time either.
class FreeMemory final : public KernelCosts {
 public:
  explicit FreeMemory(const GpuSpec& gpu) : costs_(calibrated_kernel_costs(gpu)) {}
  Seconds gemm(const Gemm& work) const override { return costs_->gemm(work); }
  Seconds grouped_gemm(const GroupedGemm& work) const override { return costs_->grouped_gemm(work); }
  Seconds attention(const Attention& work) const override { return costs_->attention(work); }
  Seconds convolution(const Convolution& work) const override { return costs_->convolution(work); }
  Seconds memory_bound(const MemoryBound&) const override { return {}; }

 private:
  std::unique_ptr<KernelCosts> costs_;
};

// Two nodes, so that communication is dear; `micro_batches` a step.
Scenario two_nodes(const std::string& data_parallel, const std::string& model, int micro_batches, int zero_stage = -1) {
  Json document = parse_json(fmt::format(R"({{"model": "{}", "cluster": "dgx-a100", "gpus": 16, "network": "analytic",
          "training": {{"global_batch": {}}}, "framework": "megatron-core"}})",
                                         model, 16 * micro_batches),
                             "job.json");
  document["training"]["data_parallel"] = parse_json(data_parallel, "strategy");
  if (zero_stage >= 0) {
    document["training"]["zero_stage"] = zero_stage;
  }
  return read_scenario(document, "job.json");
}

Seconds step(const Scenario& scenario) {
  return predict(scenario).timeline.step;
}

}  // namespace

TEST_CASE("with infinite bandwidth every data-parallel strategy takes equal time") {
  const std::vector<std::pair<std::string, int>> strategies = {
      {R"("ddp")", 0},
      {R"({"strategy": "megatron", "gradient_reduction": "overlapped"})", 0},
      {R"({"strategy": "megatron", "gradient_reduction": "after-backward"})", 1},
      {R"({"strategy": "megatron", "gradient_reduction": "overlapped", "parameter_gather": "before-use"})", 1},
      {R"({"strategy": "deepspeed", "overlap_comm": false})", 1},
      {R"({"strategy": "deepspeed", "overlap_comm": true})", 2},
      {R"({"strategy": "deepspeed", "overlap_comm": true})", 3},
      {R"({"strategy": "fsdp", "backward_prefetch": "none", "gathers_in_flight": 1})", 3},
      {R"({"strategy": "fsdp", "reduce_stream": "own", "flat_parameters": false})", 2},
      {R"({"strategy": "hsdp"})", 3}};
  std::optional<Seconds> expected;
  for (const auto& [strategy, stage] : strategies) {
    Scenario scenario = two_nodes(strategy, "megatron-1.7b", 2, stage);
    scenario.framework.host = {};
    const Layout layout = make_layout(scenario);
    const Program program = build_program(scenario, layout, FreeMemory(scenario.gpu));
    const Fabric fabric = build_fabric(scenario.cluster, static_cast<int>(scenario.gpus));
    const Seconds time = simulate_analytic(program, fabric, FreeNetwork{}).step;
    CHECK(time.value == doctest::Approx(expected.value_or(time).value).epsilon(1e-9));
    expected = time;
  }
}

TEST_CASE("overlapped communication is never slower than exposed, and faster where there is something to hide") {
  struct Pair {
    std::string overlapped;
    std::string exposed;
    int zero_stage;
  };
  const std::vector<Pair> pairs = {
      {R"({"strategy": "megatron", "gradient_reduction": "overlapped"})",
       R"({"strategy": "megatron", "gradient_reduction": "after-backward"})", 0},
      {R"({"strategy": "megatron", "gradient_reduction": "overlapped"})",
       R"({"strategy": "megatron", "gradient_reduction": "after-backward"})", 1},
      {R"({"strategy": "megatron", "gradient_reduction": "overlapped", "parameter_gather": "before-use"})",
       R"({"strategy": "megatron", "gradient_reduction": "overlapped", "parameter_gather": "after-update"})", 1},
      {R"({"strategy": "deepspeed", "overlap_comm": true, "reduce_bucket_size": 1e8})",
       R"({"strategy": "deepspeed", "overlap_comm": false, "reduce_bucket_size": 1e8})", 1},
      {R"({"strategy": "deepspeed", "overlap_comm": true, "reduce_bucket_size": 1e8})",
       R"({"strategy": "deepspeed", "overlap_comm": false, "reduce_bucket_size": 1e8})", 2},
      {R"({"strategy": "deepspeed", "overlap_comm": true, "prefetch_bucket_size": 5e7})",
       R"({"strategy": "deepspeed", "overlap_comm": true, "prefetch_bucket_size": 0})", 3},
      {R"({"strategy": "fsdp", "backward_prefetch": "pre"})", R"({"strategy": "fsdp", "backward_prefetch": "none"})",
       3},
      {R"({"strategy": "fsdp", "backward_prefetch": "post"})", R"({"strategy": "fsdp", "backward_prefetch": "none"})",
       3},
      {R"({"strategy": "fsdp", "reduce_stream": "own"})", R"({"strategy": "fsdp", "reduce_stream": "shared"})", 3},
      {R"({"strategy": "fsdp", "gathers_in_flight": 2})", R"({"strategy": "fsdp", "gathers_in_flight": 1})", 3}};
  for (const Pair& pair : pairs) {
    CAPTURE(pair.overlapped);
    bool faster = false;
    for (const char* model : {"gpt2-medium", "megatron-1.7b", "megatron-7.5b"}) {
      for (const int micro_batches : {1, 3}) {
        CAPTURE(model);
        const Seconds overlapped = step(two_nodes(pair.overlapped, model, micro_batches, pair.zero_stage));
        const Seconds exposed = step(two_nodes(pair.exposed, model, micro_batches, pair.zero_stage));
        // Buckets and units cost the host one issue each.
        CHECK(overlapped <= exposed * (1.0 + 2e-3));
        faster = faster || overlapped < exposed * 0.999;
      }
    }
    CHECK(faster);
  }
}

}  // namespace test_data_parallel
