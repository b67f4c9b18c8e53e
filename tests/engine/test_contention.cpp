// Kernels beside a collective: what it holds of the GPU they do without, for as long as it runs.
#include <doctest/doctest.h>

#include "tests/engine/hand_made.hpp"
#include "tests/engine/in_child.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_contention {

namespace {

// 100 SMs and 1 TB/s.
constexpr SharedGpu kGpu{.multiprocessors = 100, .memory_bandwidth = {1e12}};

// Two ranks behind links of 10 GB/s: 1 GB takes 0.1 s.
class HoldingCosts final : public NetworkCosts {
 public:
  HoldingCosts(const Fabric& fabric, int sms, Bytes memory_traffic)
      : inner_(fabric, 0_us), sms_(sms), memory_traffic_(memory_traffic) {
    inner_.rate_limit = 10_GBps;
  }
  CollectivePlan plan(const CollectiveRequest& request) const override {
    CollectivePlan plan = inner_.plan(request);
    plan.sms = sms_;
    plan.memory_traffic = memory_traffic_;
    return plan;
  }

 private:
  PencilCosts inner_;
  int sms_;
  Bytes memory_traffic_;
};

KernelRun kernels(Seconds device, const KernelSensitivity& sensitivity) {
  KernelRun run;
  run.append({}, device, sensitivity);
  return run;
}

// A message of 1 GB from rank 0 to rank 1 that starts at once, beside a run of kernels on both.
Program beside(const KernelRun& run) {
  PencilProgram program;
  const CommunicationId message = program.message(0, 1, 1_GB);
  program.add({0, 1}, [&](RankBuilder& rank) {
    rank.communicate_async(Category::kData, StreamName::kData, "message", {}, message);
    rank.kernels(Category::kCompute, "kernels", run);
  });
  Program written = program.take();
  written.classes.front().gpu = kGpu;
  return written;
}

// The end of the kernels in both engines; they must agree, as nothing shares a link.
double kernels_end_of(const Program& program, const NetworkCosts& costs, const Fabric& fabric) {
  const Timeline analytic = simulate_analytic(program, fabric, costs);
  const Timeline flow = simulate_flow(program, fabric, costs, Fold::kOn);
  CHECK(flow.ranks[0].end[1] == doctest::Approx(analytic.ranks[0].end[1]).epsilon(1e-12));
  CHECK(flow.ranks[0].end[0] == doctest::Approx(0.1).epsilon(1e-12));  // the message is not slowed down
  return flow.ranks[0].end[1];
}

}  // namespace

TEST_CASE("kernels on SMs run on those that a collective leaves free") {
  const Fabric fabric = star(2, 10_GBps);
  const HoldingCosts costs(fabric, 20, {});
  // All of 40 ms scales with SMs: on 80 of 100 they take 50 ms.
  const Program program = beside(kernels(40_ms, {.multiprocessors = 40_ms}));
  CHECK(kernels_end_of(program, costs, fabric) == doctest::Approx(0.05).epsilon(1e-12));
}

TEST_CASE("kernels bound by memory run at the bandwidth that a collective leaves") {
  const Fabric fabric = star(2, 10_GBps);
  const HoldingCosts costs(fabric, 0, 20_GB);
  // 20 GB in 0.1 s are 200 GB/s of 1 TB/s: 40 ms become 50 ms.
  const Program program = beside(kernels(40_ms, {.memory = 40_ms}));
  CHECK(kernels_end_of(program, costs, fabric) == doctest::Approx(0.05).epsilon(1e-12));
}

TEST_CASE("kernels speed up again when the collective is over") {
  const Fabric fabric = star(2, 10_GBps);
  const HoldingCosts costs(fabric, 20, {});
  // 0.1 s at 80 % do 80 ms of the work; the other 40 ms follow at full speed.
  const Program program = beside(kernels(120_ms, {.multiprocessors = 120_ms}));
  CHECK(kernels_end_of(program, costs, fabric) == doctest::Approx(0.14).epsilon(1e-12));
}

TEST_CASE("kernels that were running slow down when a collective begins") {
  const Fabric fabric = star(2, 10_GBps);
  const HoldingCosts costs(fabric, 20, {});
  PencilProgram hand;
  const CommunicationId message = hand.message(0, 1, 1_GB);
  hand.add({0, 1}, [&](RankBuilder& rank) {
    compute(rank, 10_ms);
    rank.communicate_async(Category::kData, StreamName::kData, "message", 10_ms, message);  // issued at 10 ms
    rank.kernels(Category::kCompute, "kernels", kernels(60_ms, {.multiprocessors = 60_ms}));
  });
  Program program = hand.take();
  program.classes.front().gpu = kGpu;
  for (const Timeline& timeline :
       {simulate_analytic(program, fabric, costs), simulate_flow(program, fabric, costs, Fold::kOn)}) {
    CHECK(timeline.ranks[0].end[1] == doctest::Approx(0.11).epsilon(1e-12));
    // Both wait for the first kernel: 60 ms at 80 % are 75 ms.
    CHECK(timeline.ranks[0].end[2] == doctest::Approx(0.085).epsilon(1e-12));
  }
}

TEST_CASE("a copy engine's collective and kernels without contention change nothing") {
  const Fabric fabric = star(2, 10_GBps);
  const KernelSensitivity both{.multiprocessors = 30_ms, .memory = 30_ms};
  const HoldingCosts nothing(fabric, 0, {});
  CHECK(kernels_end_of(beside(kernels(40_ms, both)), nothing, fabric) == 0.04);
  const HoldingCosts much(fabric, 50, 50_GB);
  CHECK(kernels_end_of(beside(kernels(40_ms, {})), much, fabric) == 0.04);
}

TEST_CASE("gaps between kernels that were issued late absorb the slowness") {
  const Fabric fabric = star(2, 10_GBps);
  const HoldingCosts costs(fabric, 50, {});
  KernelRun run;  // ten kernels of 1 ms every 4 ms: on half the SMs they take 2 ms each, still less than the issue
  for (int i = 0; i < 10; ++i) {
    run.append(4_ms, 1_ms, {.multiprocessors = 1_ms});
  }
  CHECK(kernels_end_of(beside(run), costs, fabric) == doctest::Approx(0.041).epsilon(1e-12));
}

}  // namespace test_contention
