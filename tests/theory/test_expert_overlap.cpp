// Exchanges with experts beside the passes of another micro-batch: what is hidden, what is not, and that nothing else
// changes.
#include <fmt/format.h>

#include "sim/engine/simulate.hpp"
#include "sim/memory/memory_estimate.hpp"
#include "sim/program/assembly/build_program.hpp"
#include "sim/schedules/schedule.hpp"
#include "tests/theory/whole_jobs.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_expert_overlap {

namespace {

// Attention and the experts' GEMMs take time, a pass of each as long as any other: there is always work to hide an
// exchange behind.
class EvenCosts final : public KernelCosts {
 public:
  Seconds gemm(const Gemm& /*work*/) const override { return {}; }
  Seconds grouped_gemm(const GroupedGemm& /*work*/) const override { return 1_ms; }
  Seconds attention(const Attention& /*work*/) const override { return 2_ms; }
  Seconds convolution(const Convolution& /*work*/) const override { return 2_ms; }
  Seconds memory_bound(const MemoryBound& /*work*/) const override { return {}; }
};

// Exchanges of experts take a time of their own, everything else nothing.
class ExchangeCosts final : public NetworkCosts {
 public:
  explicit ExchangeCosts(Seconds time) : time_(time) {}
  CollectivePlan plan(const CollectiveRequest& request) const override {
    CollectivePlan plan;
    plan.latency = request.op == CollectiveOp::kAllToAll ? time_ : Seconds{};
    return plan;
  }

 private:
  Seconds time_;
};

Scenario mixture(int micro_batches, bool overlap, const std::string& layout = "",
                 const std::string& experts = R"({"capacity_factor": 1.0})") {
  Scenario scenario = job(fmt::format(R"({{"model": {{"family": "llama", "layers": 4, "hidden": 1024, "heads": 16,
        "ffn": 2048, "vocab": 32000, "seq_len": 1024, "experts": {{"count": 8, "per_token": 2, "ffn": 2048}}}},
      "cluster": "dgx-h100", "gpus": 8, "layout": {{"ep": 2, "ep_overlap": {}{}}}, "framework": "megatron-core",
      "training": {{"micro_batch": 1, "global_batch": {}, "recompute": "none", "experts": {}}}}})",
                                      overlap, layout, micro_batches * (layout.empty() ? 8 : 4), experts));
  scenario.framework.host = {};
  scenario.framework.kernel_rate = 1.0;
  return scenario;
}

double step(const Scenario& scenario, Seconds exchange) {
  const Fabric fabric = build_fabric(scenario.cluster, static_cast<int>(scenario.gpus));
  const Program program = build_program(scenario, make_layout(scenario), EvenCosts());
  return simulate_analytic(program, fabric, ExchangeCosts(exchange)).step.value * 1e3;  // in milliseconds
}

constexpr double kLayers = 4.0;
// Of one layer: attention and two grouped GEMMs forward; attention and four grouped GEMMs backward.
constexpr double kForward = 2.0 + 2.0;
constexpr double kBackward = 2.0 + 4.0;
// Dispatch with the tokens' weights and combine forward, both backward.
constexpr double kExchanges = 3.0 + 2.0;

}  // namespace

TEST_CASE("without a network the order of passes costs nothing") {
  for (const int micro_batches : {1, 2, 5}) {
    const double expected = micro_batches * kLayers * (kForward + kBackward);
    CHECK(step(mixture(micro_batches, false), {}) == doctest::Approx(expected).epsilon(1e-9));
    CHECK(step(mixture(micro_batches, true), {}) == doctest::Approx(expected).epsilon(1e-9));
  }
}

TEST_CASE("exposed exchanges cost their time in every layer; hidden ones only outside of joined passes") {
  const Seconds exchange = 0.5_ms;
  for (const int micro_batches : {2, 5, 8}) {
    CAPTURE(micro_batches);
    const double compute = micro_batches * kLayers * (kForward + kBackward);
    CHECK(step(mixture(micro_batches, false), exchange) ==
          doctest::Approx(compute + micro_batches * kLayers * kExchanges * 0.5).epsilon(1e-9));
  }
  // Every further micro-batch adds its kernels alone: the first forward and the last backward pass stay by themselves.
  const double difference = step(mixture(8, true), exchange) - step(mixture(5, true), exchange);
  CHECK(difference == doctest::Approx(3.0 * kLayers * (kForward + kBackward)).epsilon(1e-9));
  const double alone = step(mixture(1, true), exchange);
  CHECK(alone == doctest::Approx(kLayers * (kForward + kBackward + kExchanges * 0.5)).epsilon(1e-9));
}

TEST_CASE("exchanges longer than what they run beside are exposed by the rest, never by more than all") {
  for (const Seconds exchange : {1_ms, 3_ms, 10_ms}) {
    const double overlapped = step(mixture(6, true), exchange);
    CHECK(overlapped <= step(mixture(6, false), exchange));
    CHECK(overlapped >= step(mixture(6, true), {}));
    CHECK(overlapped >= 6.0 * kLayers * kExchanges * exchange.value * 1e3);
  }
}

TEST_CASE("interleaved pipelines overlap too, in batches and posted, and hold one pass more") {
  for (const PipelineExchange exchange : {PipelineExchange::kBatched, PipelineExchange::kOverlapped}) {
    const char* pipeline = R"(, "pp": 2, "vpp": 2)";
    Scenario apart = mixture(8, false, pipeline);
    Scenario joined = mixture(8, true, pipeline);
    apart.framework.exchange = exchange;
    joined.framework.exchange = exchange;
    CHECK(step(joined, 0.5_ms) < 0.95 * step(apart, 0.5_ms));
    const MemoryEstimate more = estimate_memory(joined, make_layout(joined));
    const MemoryEstimate less = estimate_memory(apart, make_layout(apart));
    CHECK(more.stages.front().uses[MemoryUse::kActivations] > less.stages.front().uses[MemoryUse::kActivations]);
  }
}

TEST_CASE("joined passes of DualPipe gain from it, and its timeline's memory is the estimate's") {
  for (const char* layout : {R"(, "pp": 2, "vpp": 2)", ""}) {
    const Scenario scenario = mixture(8, true, layout);
    const MemoryEstimate quick = estimate_memory(scenario, make_layout(scenario));
    Scenario analytic = scenario;
    analytic.network = Network::kAnalytic;
    const MemoryEstimate timeline = predict(analytic).report.memory;
    for (std::size_t stage = 0; stage < quick.stages.size(); ++stage) {
      CHECK(timeline.stages[stage].total.value == doctest::Approx(quick.stages[stage].total.value).epsilon(1e-12));
    }
  }
  const auto dualpipe = [](const char* overlap) {
    Scenario scenario = job(fmt::format(R"({{"model": "deepseek-v2-lite", "cluster": "dgx-h100", "gpus": 16,
        "layout": {{"pp": 4, "ep": 4, "ep_overlap": {}}}, "network": "analytic", "framework": "megatron-core",
        "training": {{"global_batch": 64, "schedule": "dualpipe", "recompute": "none", "zero_stage": 0,
                     "experts": {{"capacity_factor": 1.0}}}}}})",
                                        overlap));
    return predict(scenario).report;
  };
  const Report apart = dualpipe("false");
  const Report joined = dualpipe("true");
  CHECK(joined.step < apart.step);
  CHECK(joined.breakdown.exposed_ep < apart.breakdown.exposed_ep * 0.8);
}

// The host reads how many tokens each expert got before it goes on. It waits for its kernels then, not for messages
// whose other end waits for what this host has yet to launch.
TEST_CASE("counts of tokens are read beside posted messages in every schedule") {
  for (const auto& [schedule, name] : kScheduleNames.rows) {
    const std::string which(schedule);
    CAPTURE(which);
    Scenario scenario =
        mixture(8, false, fmt::format(R"(, "pp": 2, "vpp": {})", schedule_traits(name).fewest_chunks), "{}");
    scenario.training.schedule = name;
    // All passes of a stage, at least.
    CHECK(step(scenario, 0_ms) >= 8.0 * kLayers / 2.0 * (kForward + kBackward));
  }
}

}  // namespace test_expert_overlap
