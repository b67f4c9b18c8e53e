// What unequal GPUs and jitter do to programs small enough for a pencil.
#include <doctest/doctest.h>

#include <cmath>
#include <numbers>
#include <numeric>

#include "sim/engine/quotient.hpp"
#include "tests/engine/hand_made.hpp"
#include "tests/engine/in_child.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_variation {

namespace {

// Every rank computes for a second in `kernels` kernels, and all meet `rounds` times. Meeting is free.
Program meeting(std::int32_t ranks, int kernels, int rounds, const Variation& variation) {
  PencilProgram program;
  std::vector<RankId> all;
  std::vector<std::int32_t> numbers;
  for (std::int32_t r = 0; r < ranks; ++r) {
    all.push_back({r});
    numbers.push_back(r);
  }
  const CommunicationId meet = program.communication(CollectiveOp::kAllReduce, 1_B, {all});
  KernelRun run;
  for (int i = 0; i < kernels; ++i) {
    run.append({}, Seconds{1.0} / static_cast<double>(kernels));
  }
  program.add(numbers, [&](RankBuilder& rank) {
    for (int i = 0; i < rounds; ++i) {
      rank.kernels(Category::kCompute, "kernels", run);
      collect(rank, meet);
    }
  });
  Program written = program.take();
  written.variation = variation;
  return written;
}

double analytic_step(const Program& program, const Fabric& fabric) {
  const PencilCosts costs(fabric, {});
  return simulate_analytic(program, fabric, costs).step.value;
}

// Mean of the largest of n draws from the normal distribution: the integral of x n phi(x) Phi(x)^(n-1).
double mean_largest(int n) {
  constexpr double kStep = 1e-3;
  double sum = 0.0;
  for (int i = -8000; i <= 8000; ++i) {
    const double x = i * kStep;
    const double density = std::exp(-x * x / 2.0) / std::sqrt(2.0 * std::numbers::pi);
    const double below = std::erfc(-x / std::numbers::sqrt2) / 2.0;
    sum += x * n * density * std::pow(below, n - 1) * kStep;
  }
  return sum;
}

}  // namespace

TEST_CASE("all wait for a straggler, which splits off alone") {
  const Fabric fabric = star(64, 10_GBps);
  Variation variation;
  variation.slowness.assign(64, 1.0);
  variation.slowness[5] = 1.2;
  const Program program = meeting(64, 1, 3, variation);
  const PencilCosts costs(fabric, {});
  CHECK(analytic_step(program, fabric) == doctest::Approx(3.6).epsilon(1e-6));
  const Timeline analytic = simulate_analytic(program, fabric, costs);
  REQUIRE(analytic.ranks.size() == 2);
  CHECK(analytic.ranks[0].multiplicity == 63);
  CHECK(analytic.ranks[1].multiplicity == 1);
  CHECK(analytic.ranks[1].rank == RankId{5});
}

TEST_CASE("pairs that a straggler is not in stay one class in both engines") {
  // Eight pairs meet by themselves: the straggler's partner splits off with it.
  const Fabric fabric = star(16, 10_GBps);
  PencilProgram written;
  std::vector<std::vector<RankId>> pairs;
  std::vector<std::int32_t> all(16);
  std::iota(all.begin(), all.end(), 0);
  for (std::int32_t r = 0; r < 16; r += 2) {
    pairs.push_back({{r}, {r + 1}});
  }
  const CommunicationId reduce = written.communication(CollectiveOp::kAllReduce, 1_MB, pairs);
  written.add(all, [&](RankBuilder& rank) {
    compute(rank, 1_ms);
    collect(rank, reduce);
  });
  Program program = written.take();
  program.variation.slowness.assign(16, 1.0);
  program.variation.slowness[6] = 2.0;
  const PencilCosts costs(fabric, 1_us);
  const Quotient quotient = fold_program(program, fabric, costs, Fold::kOn);
  REQUIRE(quotient.ranks.size() == 3);
  CHECK(quotient.ranks[0].count == 14);
  CHECK(quotient.groups.size() == 2);
  const Timeline analytic = simulate_analytic(program, fabric, costs);
  CHECK(analytic.ranks.size() == 3);
  const Json folded = timeline_of([&] { return simulate_flow(program, fabric, costs, Fold::kOn); });
  const Json whole = timeline_of([&] { return simulate_flow(program, fabric, costs, Fold::kOff); });
  CHECK(folded["step"].get<double>() == doctest::Approx(whole["step"].get<double>()).epsilon(1e-12));
  CHECK(analytic.step.value == doctest::Approx(whole["step"].get<double>()).epsilon(1e-12));
}

TEST_CASE("the step of ranks that jitter and meet is the mean of the largest of them") {
  // Near 1 the log-normal factor is normal: 1 + s z. The mean of the largest of N lies below s sqrt(2 ln N), which it
  // approaches slowly: 17 % below at N = 64.
  constexpr int kRanks = 64;
  constexpr int kRounds = 400;
  constexpr double kSigma = 0.01;
  const Fabric fabric = star(kRanks, 1000_GBps);
  for (const int kernels : {1, 25}) {
    const Variation variation{.kernel_jitter = kSigma, .seed = 11};
    const double step = analytic_step(meeting(kRanks, kernels, kRounds, variation), fabric);
    const double beyond_mean = (step / kRounds - 1.0) / (kSigma / std::sqrt(static_cast<double>(kernels)));
    // The largest of 64 has a deviation of 0.44: over 400 rounds a standard error of 0.022, of which four are allowed.
    CHECK(std::abs(beyond_mean - mean_largest(kRanks)) < 0.09);
    CHECK(beyond_mean < std::sqrt(2.0 * std::log(kRanks)));
    CHECK(beyond_mean > 0.8 * std::sqrt(2.0 * std::log(kRanks)));
  }
}

TEST_CASE("the same seed gives the same bits, another seed other ones, and no jitter those of equal GPUs") {
  const Fabric fabric = star(8, 10_GBps);
  const auto step = [&](const Variation& variation) { return analytic_step(meeting(8, 4, 5, variation), fabric); };
  const double one = step({.kernel_jitter = 0.02, .seed = 1});
  CHECK(step({.kernel_jitter = 0.02, .seed = 1}) == one);
  CHECK(step({.kernel_jitter = 0.02, .seed = 2}) != one);
  CHECK(step({.kernel_jitter = 0.0, .seed = 2}) == step({}));
  CHECK(step({.slowness = std::vector<double>(8, 1.0)}) == step({}));
}

TEST_CASE("calls that jitter take their mean time on average, latency and bytes alike") {
  // 1 GB at 10 GB/s and 10 ms: a message of 0.11 s, a thousand times. The mean's standard error is 0.1 / sqrt(1000).
  const Fabric fabric = star(2, 10_GBps);
  const PencilCosts costs(fabric, 10_ms);
  PencilProgram written;
  const CommunicationId message = written.message(0, 1, 1_GB);
  written.add({0, 1}, [&](RankBuilder& rank) {
    for (int i = 0; i < 1000; ++i) {
      send(rank, message);
    }
  });
  Program program = written.take();
  program.variation = {.network_jitter = 0.1, .seed = 1};
  const Json flow = timeline_of([&] { return simulate_flow(program, fabric, costs, Fold::kOn); });
  const double step = flow["step"];
  CHECK(std::abs(step / 110.0 - 1.0) < 5.0 * 0.1 / std::sqrt(1000.0));
  CHECK(simulate_analytic(program, fabric, costs).step.value == doctest::Approx(step).epsilon(1e-9));
  const std::vector<double> end = flow["ranks"][0]["end"];
  CHECK(std::abs((end[1] - end[0]) - end[0]) > 1e-4);  // no two calls take equally long
}

}  // namespace test_variation
