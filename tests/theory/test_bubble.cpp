// Pipeline bubbles in closed form: passes of uniform length, communication and host for nothing.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "sim/engine/column_times.hpp"
#include "sim/engine/simulate.hpp"
#include "sim/program/assembly/build_program.hpp"
#include "sim/scenario/read_scenario.hpp"

using namespace trainyard;

namespace test_bubble {

namespace {

// Only fused attention takes time, forward once and backward twice as long, so passes differ by their layers alone.
class AttentionCosts final : public KernelCosts {
 public:
  Seconds gemm(const Gemm& /*work*/) const override { return {}; }
  Seconds grouped_gemm(const GroupedGemm& /*work*/) const override { return {}; }
  Seconds convolution(const Convolution& /*work*/) const override { return {}; }
  Seconds attention(const Attention& work) const override {
    return work.direction == Direction::kForward ? 1_ms : 2_ms;
  }
  Seconds memory_bound(const MemoryBound& /*work*/) const override { return {}; }
};

class FreeNetwork final : public NetworkCosts {
 public:
  CollectivePlan plan(const CollectiveRequest& /*request*/) const override { return {}; }
};

// Forward, input gradient and weight gradient alike: the backward of attention is dgrad, a weight gradient is counted
// at the one linear of each layer that is as wide as 4 hidden sizes.
class EqualCosts final : public KernelCosts {
 public:
  explicit EqualCosts(std::int64_t ffn) : ffn_(ffn) {}
  Seconds gemm(const Gemm& work) const override {
    const bool is_weight_gradient = work.k == kTokens && work.m == ffn_;
    return is_weight_gradient ? 1_ms : 0_ms;
  }
  Seconds grouped_gemm(const GroupedGemm& /*work*/) const override { return {}; }
  Seconds attention(const Attention& /*work*/) const override { return 1_ms; }
  Seconds convolution(const Convolution& /*work*/) const override { return 1_ms; }
  Seconds memory_bound(const MemoryBound& /*work*/) const override { return {}; }

 private:
  static constexpr std::int64_t kTokens = 2048;
  std::int64_t ffn_;
};

// A model of 48 layers on `pp` GPUs.
Seconds step(int pp, int vpp, int micro_batches, const char* schedule) {
  Scenario scenario =
      read_scenario(parse_json(fmt::format(R"({{"model": "megatron-22b", "cluster": "dgx-a100", "gpus": {},
          "layout": {{"pp": {}, "vpp": {}}}, "framework": "megatron-core",
          "training": {{"global_batch": {}, "schedule": "{}", "recompute": "none"}}}})",
                                           pp, pp, vpp, micro_batches, schedule),
                               "job.json"),
                    "job.json");
  scenario.framework.host = {};
  scenario.framework.exchange = PipelineExchange::kBatched;
  scenario.framework.operators.attention = AttentionKernel::kFlash;
  const Layout layout = make_layout(scenario);
  const Program program = build_program(scenario, layout, AttentionCosts());
  const Fabric fabric = build_fabric(scenario.cluster, pp);
  return simulate_analytic(program, fabric, FreeNetwork()).step;
}

// The step in passes through one layer, forward and backward.
double step_in_layers(int pp, int vpp, int micro_batches, const char* schedule) {
  static const Seconds kLayer = step(1, 1, 1, "1f1b") / 48.0;
  return step(pp, vpp, micro_batches, schedule) / kLayer;
}

}  // namespace

TEST_CASE("1F1B and GPipe wait (p - 1) (F + B)") {
  // arXiv 2104.04473, section 2.2.1: with m micro-batches the step is (m + p - 1) (F + B). F + B of 48 / p layers of 3
  // ms.
  for (const int pp : {1, 2, 4, 8}) {
    for (const int micro_batches : {1, 2, 4, 8, 32}) {
      CAPTURE(pp);
      CAPTURE(micro_batches);
      const double pass = 48.0 / pp;
      CHECK(step_in_layers(pp, 1, micro_batches, "1f1b") ==
            doctest::Approx((micro_batches + pp - 1) * pass).epsilon(1e-9));
      CHECK(step_in_layers(pp, 1, micro_batches, "gpipe") ==
            doctest::Approx((micro_batches + pp - 1) * pass).epsilon(1e-9));
    }
  }
}

TEST_CASE("interleaving divides the bubble by the number of chunks") {
  // arXiv 2104.04473, section 2.2.2: (p - 1) (F + B) / v.
  for (const int pp : {2, 4, 8}) {
    for (const int vpp : {2, 3}) {
      for (const int rounds : {1, 2, 4}) {
        CAPTURE(pp);
        CAPTURE(vpp);
        CAPTURE(rounds);
        const double pass = 48.0 / pp;
        CHECK(step_in_layers(pp, vpp, rounds * pp, "interleaved") ==
              doctest::Approx(rounds * pp * pass + (pp - 1) * pass / vpp).epsilon(1e-9));
      }
    }
  }
}

TEST_CASE("uneven stages wait for the fullest") {
  // 48 layers on 5 stages: 9, 10, 10, 10, 9. In the steady state every micro-batch takes the fullest stage's 30 ms; a
  // lone micro-batch passes all layers once: 48 * 3 ms.
  CHECK(step_in_layers(5, 1, 1, "gpipe") == doctest::Approx(48.0).epsilon(1e-9));
  const double long_run = step_in_layers(5, 1, 100, "1f1b");
  const double longer_run = step_in_layers(5, 1, 200, "1f1b");
  CHECK(longer_run - long_run == doctest::Approx(100 * 10.0).epsilon(1e-9));
}

namespace {

struct Bubble {
  double step = 0.0;          // in milliseconds
  double longest_idle = 0.0;  // of a stage between its first and its last pass
};

// The same model with passes of 1 ms per layer and kind.
Bubble bubble(int pp, int micro_batches, const char* schedule) {
  Scenario scenario =
      read_scenario(parse_json(fmt::format(R"({{"model": "megatron-22b", "cluster": "dgx-a100", "gpus": {},
          "layout": {{"pp": {}}}, "framework": "megatron-core",
          "training": {{"global_batch": {}, "schedule": "{}", "recompute": "none"}}}})",
                                           pp, pp, micro_batches, schedule),
                               "job.json"),
                    "job.json");
  scenario.framework.host = {};
  scenario.framework.kernel_rate = 1.0;
  scenario.framework.operators.attention = AttentionKernel::kFlash;
  const Layout layout = make_layout(scenario);
  const Program program = build_program(scenario, layout, EqualCosts(scenario.model.ffn));
  const Fabric fabric = build_fabric(scenario.cluster, pp);
  const Timeline timeline = simulate_analytic(program, fabric, FreeNetwork());
  Bubble out{.step = timeline.step.value * 1e3};
  for (const RankTimeline& rank : timeline.ranks) {
    const RankProgram& of_rank = program.classes[rank.program_class.index()];
    const std::vector<double> start = start_times(of_rank, rank);
    double first = timeline.step.value;
    double last = 0.0;
    double busy = 0.0;
    for (std::size_t i = 0; i < of_rank.operations.size(); ++i) {
      const double device = of_rank.operations[i].run.device.value;
      if (of_rank.operations[i].category == Category::kCompute && device > 0.0) {
        first = std::min(first, start[i]);
        last = std::max(last, rank.end[i]);
        busy += device;
      }
    }
    out.longest_idle = std::max(out.longest_idle, (last - first - busy) * 1e3);
  }
  return out;
}

}  // namespace

TEST_CASE("split schedules idle as long as their closed forms say when F = B = W") {
  for (const int pp : {2, 4, 8}) {
    for (const int micro_batches : {2 * pp, 4 * pp}) {
      CAPTURE(pp);
      CAPTURE(micro_batches);
      const double pass = 48.0 / pp;  // F = B = W of a stage
      // arXiv 2401.10241, table 2: (p - 1) (F + B - W) and (p - 1) (F + B - 2 W).
      CHECK(bubble(pp, micro_batches, "zb-h1").longest_idle == doctest::Approx((pp - 1) * pass));
      CHECK(bubble(pp, micro_batches, "zb-h1").step == doctest::Approx((3 * micro_batches + pp - 1) * pass));
      CHECK(bubble(pp, micro_batches, "zb-h2").longest_idle == doctest::Approx(0.0));
      // arXiv 2405.15362: none, half and two thirds of 1F1B's (p - 1) (F + B + W).
      const double of_1f1b = bubble(pp, micro_batches, "1f1b").longest_idle;
      CHECK(of_1f1b == doctest::Approx((pp - 1) * 3 * pass));
      CHECK(bubble(pp, micro_batches, "zb-v").longest_idle == doctest::Approx(0.0));
      CHECK(bubble(pp, micro_batches, "v-half").longest_idle <= of_1f1b / 2.0 + 1e-6);
      CHECK(bubble(pp, micro_batches, "v-min").longest_idle <= of_1f1b * 2.0 / 3.0 + 1e-6);
      // DualPipe README: (p / 2 - 1) (F&B + B - 3 W), B whole and F&B a pass of each: 3 + 2 - 3 passes.
      CHECK(bubble(pp, micro_batches, "dualpipe").longest_idle == doctest::Approx((pp / 2.0 - 1.0) * 2.0 * pass));
      // On p devices DualPipeV is the DualPipe of 2 p stages, each half as long.
      CHECK(bubble(pp, micro_batches, "dualpipe-v").longest_idle == doctest::Approx((pp - 1) * 2.0 * pass / 2.0));
    }
  }
}

TEST_CASE("breadth-first orders divide GPipe's bubble by the number of chunks") {
  for (const int pp : {2, 4, 8}) {
    for (const int vpp : {2, 3}) {
      for (const char* schedule : {"breadth-first", "looped-bfs"}) {
        CAPTURE(pp);
        CAPTURE(vpp);
        const double pass = 48.0 / pp;
        CHECK(step_in_layers(pp, vpp, 2 * pp, schedule) ==
              doctest::Approx(2 * pp * pass + (pp - 1) * pass / vpp).epsilon(1e-9));
      }
    }
  }
}

}  // namespace test_bubble
