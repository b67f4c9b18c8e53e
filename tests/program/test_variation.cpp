#include <doctest/doctest.h>

#include <cmath>

#include "sim/program/program.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "sim/scenario/scenario.hpp"

using namespace trainyard;

namespace test_variation {

namespace {

Scenario job(const char* variation, std::uint64_t seed = 0) {
  Json document = parse_json(R"({"model": "gpt2", "cluster": "dgx-a100", "gpus": 1024,
                                 "training": {"global_batch": 1024}})",
                             "job.json");
  document["variation"] = parse_json(variation, "variation");
  document["seed"] = seed;
  return read_scenario(document, "job.json");
}

// Mean and variance over many operations of many ranks.
std::pair<double, double> moments(const Variation& variation, double equal_kernels) {
  double sum = 0.0;
  double squares = 0.0;
  constexpr int kSide = 300;
  for (int rank = 0; rank < kSide; ++rank) {
    for (std::size_t operation = 0; operation < kSide; ++operation) {
      const double one = kernel_slowness(variation, {rank}, operation, equal_kernels) - 1.0;
      sum += one;
      squares += one * one;
    }
  }
  const double count = kSide * kSide;
  return {sum / count, squares / count - sum / count * (sum / count)};
}

}  // namespace

TEST_CASE("the jitter of a run of n kernels has mean 1 and the variance of one kernel over n") {
  for (const double sigma : {0.015, 0.3}) {
    for (const double kernels : {1.0, 16.0}) {
      const auto [mean, variance] = moments({.kernel_jitter = sigma, .seed = 5}, kernels);
      const double expected = std::expm1(sigma * sigma) / kernels;
      CHECK(std::abs(mean) < 5.0 * std::sqrt(expected / 90000.0));  // five standard errors
      CHECK(variance == doctest::Approx(expected).epsilon(0.05));
    }
  }
}

TEST_CASE("kernels of unequal length average their jitter out as fewer equal ones do") {
  KernelRun run;
  for (int i = 0; i < 4; ++i) {
    run.append(1_us, 10_us);
  }
  CHECK(run.equal_kernels() == doctest::Approx(4.0));
  // 100 + 4 * 10 us: 140^2 / (100^2 + 4 * 10^2).
  run.append(1_us, 100_us);
  CHECK(run.equal_kernels() == doctest::Approx(140.0 * 140.0 / 10400.0));
}

TEST_CASE("a slower GPU stretches a run that the device bounds and leaves the host's pace") {
  KernelRun device_bound;  // first issued at 1 us, the device is never idle again
  for (int i = 0; i < 10; ++i) {
    device_bound.append(1_us, 10_us);
  }
  CHECK(device_bound.critical_at(1.2).value == doctest::Approx(121e-6));
  CHECK(device_bound.critical_at(0.5).value == doctest::Approx(51e-6));

  KernelRun host_bound;  // the last is issued at 100 us and runs 2 us
  for (int i = 0; i < 10; ++i) {
    host_bound.append(10_us, 2_us);
  }
  CHECK(host_bound.critical_at(1.5).value == doctest::Approx(103e-6));
  // Ten times slower the device is the one to wait for: 10 us until the first is issued, then 200 us of work.
  CHECK(host_bound.critical_at(10.0).value == doctest::Approx(210e-6));
  CHECK(host_bound.critical_at(1.0) == host_bound.critical);
}

TEST_CASE("stragglers multiply, and nobody else is slow") {
  const Variation variation =
      variation_of(job(R"({"stragglers": [{"node": 1, "slowdown": 1.2}, {"ranks": [9, 100], "slowdown": 1.5}]})"));
  CHECK(variation.slowness_of({7}) == 1.0);
  CHECK(variation.slowness_of({8}) == 1.2);
  CHECK(variation.slowness_of({9}) == doctest::Approx(1.8));
  CHECK(variation.slowness_of({100}) == 1.5);
  CHECK_FALSE(variation.jitters());
}

TEST_CASE("GPUs of unequal speed spread around the catalogue's by the given deviation, cut off at three") {
  const Variation variation = variation_of(job(R"({"gpu_spread": 0.015})", 3));
  double sum = 0.0;
  double squares = 0.0;
  for (const double slowness : variation.slowness) {
    const double off = 1.0 / slowness - 1.0;
    CHECK(std::abs(off) <= 0.045 + 1e-12);
    sum += off;
    squares += off * off;
  }
  CHECK(std::abs(sum / 1024.0) < 0.0024);  // five standard errors: 5 * 0.015 / 32
  CHECK(std::sqrt(squares / 1024.0) == doctest::Approx(0.015).epsilon(0.1));
  CHECK(variation_of(job(R"({"gpu_spread": 0.015})", 3)).slowness == variation.slowness);
  CHECK(variation_of(job(R"({"gpu_spread": 0.015})", 4)).slowness != variation.slowness);
}

TEST_CASE("slow nodes are slow as a whole, as often as asked, by a factor within the bounds") {
  const Variation variation = variation_of(job(R"({"slow_nodes": {"probability": 0.25, "slowdown": [1.1, 1.2]}})"));
  int slow = 0;
  for (std::size_t node = 0; node < 128; ++node) {
    const double first = variation.slowness[8 * node];
    slow += first > 1.0 ? 1 : 0;
    const bool within = first == 1.0 || (first >= 1.1 && first <= 1.2);
    CHECK(within);
    for (std::size_t i = 1; i < 8; ++i) {
      CHECK(variation.slowness[8 * node + i] == first);
    }
  }
  // 32 of 128 are expected, with a deviation of sqrt(128 * 0.25 * 0.75) = 4.9.
  CHECK(slow >= 14);
  CHECK(slow <= 50);
}

}  // namespace test_variation
