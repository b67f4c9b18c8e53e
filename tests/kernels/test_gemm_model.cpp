#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>

#include "kernels/gemm_model.hpp"

namespace trainyard::test_gemm_model {
namespace {

GpuSpec round_gpu() {
  GpuSpec gpu;
  gpu.name = "round";
  gpu.multiprocessors = 100;
  gpu.boost_clock = {1e9};
  gpu.peak = {{Precision::kFp32, {1e13}}, {Precision::kBf16, {1e14}}};
  gpu.memory_bandwidth = {1e12};
  gpu.l2_cache = {4e7};
  return gpu;
}

// Nothing but tiles and waves: no fixed time, no loads, no fill, no power limit, memory practically free.
GemmParameters ideal() {
  return {.fixed_time = {},
          .tensor_efficiency = 1.0,
          .operand_load = 0.0,
          .fill_depth = 0.0,
          .memory_efficiency = 1e6,
          .power_ceiling = 1.0,
          .split_time = {},
          .split_traffic = 0.0,
          .overlap = 8.0};
}

rc::Gen<std::int64_t> dimension() {
  return rc::gen::inRange<std::int64_t>(1, 20000);
}

TEST_CASE("a GEMM without elements takes no time") {
  const GpuSpec gpu = round_gpu();
  CHECK(gemm_time({.m = 0, .n = 8, .k = 8}, gpu, ideal(), 1.0) == Seconds{});
  CHECK(gemm_time({.m = 8, .n = 8, .k = 0}, gpu, ideal(), 1.0) == Seconds{});
  CHECK(gemm_time({.m = 8, .n = 8, .k = 8, .batch = 0}, gpu, ideal(), 1.0) == Seconds{});
}

TEST_CASE("full waves run at the peak rate") {
  // 2560 x 1280 in 256 x 128 tiles is 10 x 10 = 100 tiles, one per SM: 2 * 2560 * 1280 * 1000 FLOP / 1e14 FLOP/s.
  const Seconds time = gemm_time({.m = 2560, .n = 1280, .k = 1000}, round_gpu(), ideal(), 1.0);
  CHECK(time.value == doctest::Approx(2.0 * 2560.0 * 1280.0 * 1000.0 / 1e14).epsilon(1e-6));
}

TEST_CASE("one tile more than a wave holds makes a second wave where k cannot be split") {
  // 100 tiles of 64 x 64 in a row fill 100 SMs; with batch 101 each a single tile at k = 1 nothing can be split.
  const GpuSpec gpu = round_gpu();
  const Seconds one = gemm_time({.m = 64, .n = 64, .k = 1, .batch = 100}, gpu, ideal(), 1.0);
  const Seconds two = gemm_time({.m = 64, .n = 64, .k = 1, .batch = 101}, gpu, ideal(), 1.0);
  CHECK(two / one == doctest::Approx(2.0).epsilon(1e-3));
}

TEST_CASE("splitting k keeps SMs busy when there are fewer tiles than SMs") {
  // One 64 x 64 tile of depth 6400 would keep 99 of 100 SMs idle; 32 splits of depth 200 are 32 times faster when free.
  const Seconds time = gemm_time({.m = 64, .n = 64, .k = 6400}, round_gpu(), ideal(), 1.0);
  CHECK(time.value == doctest::Approx(2.0 * 64.0 * 64.0 * 200.0 / 1e12).epsilon(1e-6));
}

TEST_CASE("a slow memory bounds thin GEMMs by their operands") {
  // k = 64, batch of attention scores: 16 bit, (m k + k n + m n) * 2 bytes at 1e12 byte/s dominates 2 m n k FLOP.
  GemmParameters parameters = ideal();
  parameters.memory_efficiency = 1.0;
  const Seconds time = gemm_time({.m = 2048, .n = 2048, .k = 64, .batch = 64}, round_gpu(), parameters, 1.0);
  const double bytes = 64.0 * 2.0 * (2.0 * 2048.0 * 64.0 + 2048.0 * 2048.0);
  CHECK(time.value >= bytes / 1e12);
  CHECK(time.value <= 1.1 * bytes / 1e12);
}

TEST_CASE("adding to an fp32 gradient costs its traffic") {
  GemmParameters parameters = ideal();
  parameters.memory_efficiency = 1.0;
  parameters.overlap = 1.0;  // no overlap: times add
  const Gemm plain{.m = 4096, .n = 4096, .k = 64};
  Gemm accumulating = plain;
  accumulating.extra_traffic = {6.0 * 4096.0 * 4096.0};
  const Seconds difference =
      gemm_time(accumulating, round_gpu(), parameters, 1.0) - gemm_time(plain, round_gpu(), parameters, 1.0);
  CHECK(difference.value == doctest::Approx(6.0 * 4096.0 * 4096.0 / 1e12));
}

TEST_CASE("a larger GEMM is never faster") {
  CHECK(rc::check([] {
    const Gemm small{.m = *dimension(), .n = *dimension(), .k = *dimension(), .batch = *rc::gen::inRange(1, 64)};
    Gemm large = small;
    large.m += *rc::gen::inRange(0, 500);
    large.n += *rc::gen::inRange(0, 500);
    large.k += *rc::gen::inRange(0, 500);
    large.batch += *rc::gen::inRange(0, 4);
    GemmParameters parameters = ideal();
    parameters.memory_efficiency = 0.8;
    parameters.fill_depth = 100.0;
    parameters.operand_load = 0.005;
    parameters.split_time = {2e-6};
    parameters.split_traffic = 0.5;
    const double slack = 1.0 + 1e-12;
    RC_ASSERT(gemm_time(small, round_gpu(), parameters, 1.0).value <=
              gemm_time(large, round_gpu(), parameters, 1.0).value * slack);
  }));
}

TEST_CASE("more bandwidth, a higher clock and better parameters are never slower") {
  CHECK(rc::check([] {
    const Gemm work{.m = *dimension(), .n = *dimension(), .k = *dimension()};
    const GpuSpec gpu = round_gpu();
    GpuSpec faster = gpu;
    faster.memory_bandwidth *= 1.0 + *rc::gen::inRange(0, 100) / 50.0;
    GemmParameters parameters = ideal();
    parameters.memory_efficiency = 0.7;
    parameters.overlap = 2.5;
    const double time = gemm_time(work, gpu, parameters, 0.9).value;
    const double slack = 1.0 + 1e-12;
    RC_ASSERT(gemm_time(work, faster, parameters, 0.9).value <= time * slack);
    RC_ASSERT(gemm_time(work, gpu, parameters, 1.0).value <= time * slack);
    parameters.tensor_efficiency = 0.5;
    RC_ASSERT(gemm_time(work, gpu, parameters, 0.9).value * slack >= time);
  }));
}

TEST_CASE("no GEMM beats the peak rate or the memory") {
  CHECK(rc::check([] {
    const Gemm work{.m = *dimension(), .n = *dimension(), .k = *dimension()};
    GemmParameters parameters = ideal();
    parameters.memory_efficiency = 1.0;
    const GpuSpec gpu = round_gpu();
    const Seconds time = gemm_time(work, gpu, parameters, 1.0);
    const double slack = 1.0 - 1e-9;
    RC_ASSERT(time >= work.flops() / gpu.peak_for(work.precision) * slack);
    const double elements = static_cast<double>(work.m * work.k + work.k * work.n + work.m * work.n);
    RC_ASSERT(time >= Bytes{2.0 * elements} / gpu.memory_bandwidth * slack);
  }));
}

}  // namespace
}  // namespace trainyard::test_gemm_model
