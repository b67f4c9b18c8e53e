#include <doctest/doctest.h>

#include <array>
#include <cmath>

#include "kernels/gpu.hpp"
#include "kernels/kernel_costs.hpp"

namespace trainyard::test_kernel_costs {
namespace {

struct MeasuredGemm {
  const char* gpu;
  std::int64_t m, n, k;
  double microseconds;
};

// bf16 GEMMs of ai-dynamo/aiconfigurator's tables (validation/published/kernels), large enough to matter in training.
constexpr std::array<MeasuredGemm, 9> kMeasuredGemms = {{{"a100-80", 4096, 4096, 4096, 514.0},
                                                         {"a100-80", 8192, 8192, 8192, 4189.0},
                                                         {"a100-80", 4096, 12288, 4096, 1607.0},
                                                         {"h100-sxm", 4096, 4096, 4096, 178.0},
                                                         {"h100-sxm", 8192, 8192, 8192, 1416.0},
                                                         {"h100-sxm", 8192, 1024, 8192, 170.0},
                                                         {"b200", 4096, 4096, 4096, 105.0},
                                                         {"b200", 8192, 8192, 8192, 696.0},
                                                         {"b200", 2048, 4096, 4096, 45.0}}};

TEST_CASE("large GEMMs come within 25 % of published measurements") {
  for (const MeasuredGemm& row : kMeasuredGemms) {
    CAPTURE(row.gpu);
    CAPTURE(row.m);
    CAPTURE(row.n);
    CAPTURE(row.k);
    const auto costs = calibrated_kernel_costs(load_gpu(row.gpu));
    const double predicted = costs->gemm({.m = row.m, .n = row.n, .k = row.k}).value * 1e6;
    CAPTURE(predicted);
    CHECK(std::abs(predicted / row.microseconds - 1.0) < 0.25);
  }
}

TEST_CASE("no work takes no time") {
  const auto costs = calibrated_kernel_costs(load_gpu("a100-80"));
  CHECK(costs->gemm({.m = 0, .n = 128, .k = 128}).value == 0.0);
  CHECK(costs->attention({}).value == 0.0);
  CHECK(costs->memory_bound({}).value == 0.0);
}

TEST_CASE("every GPU of the catalogue has kernel costs") {
  for (const std::string& name : gpu_names()) {
    CAPTURE(name);
    const auto costs = calibrated_kernel_costs(load_gpu(name));
    CHECK(costs->gemm({.m = 1024, .n = 1024, .k = 1024}).value > 0.0);
    CHECK(costs->memory_bound({Bytes{1e6}}).value > 0.0);
  }
}

TEST_CASE("a memory-bound kernel depends on bandwidth alone, a large GEMM on SMs") {
  const auto costs = calibrated_kernel_costs(load_gpu("h100-sxm"));
  const MemoryBound copy{Bytes{1e9}};
  const KernelSensitivity of_copy = costs->sensitivity(copy);
  CHECK(of_copy.multiprocessors.value == 0.0);
  // All but the fixed start scales with bandwidth.
  CHECK(of_copy.memory.value == doctest::Approx(costs->memory_bound(copy).value).epsilon(0.02));
  const Gemm gemm{.m = 8192, .n = 8192, .k = 8192};
  const KernelSensitivity of_gemm = costs->sensitivity(gemm);
  const double alone = costs->gemm(gemm).value;
  CHECK(of_gemm.memory.value < 0.05 * alone);
  // 2048 tiles of 128 x 256 are 16 waves on 132 SMs and 18 on the 116 that a collective of 16 channels leaves, so no
  // kernel is slower by more than two waves in 16; the power limit may absorb part.
  const double slower = of_gemm.multiprocessors.value * 16.0 / 116.0 / alone;
  CHECK(slower > 0.0);
  CHECK(slower < 0.14);
}

TEST_CASE("hours of training run at the sustained clock") {
  const GpuSpec gpu = load_gpu("b200");
  REQUIRE(gpu.sustained_clock_ratio < 1.0);
  const Gemm large{.m = 16384, .n = 16384, .k = 16384};
  const Seconds burst = calibrated_kernel_costs(gpu)->gemm(large);
  const Seconds sustained = calibrated_kernel_costs(gpu, {.sustained = Sustained::kYes})->gemm(large);
  // Arithmetic dominates: 8.8e12 FLOP against 1.6 GB.
  CHECK(burst / sustained == doctest::Approx(gpu.sustained_clock_ratio).epsilon(0.01));
}

// FlashAttention repository, figures of forward and backward together: head_dim 128, causal, batch x seq = 16384.
TEST_CASE("FlashAttention-2 comes within 15 % of its published rates") {
  struct Published {
    const char* gpu;
    std::int64_t seq;
    double tflops;
  };
  for (const Published& row :
       {Published{"a100-80", 1024, 133.0}, Published{"a100-80", 4096, 173.0}, Published{"a100-80", 16384, 189.0},
        Published{"h100-sxm", 2048, 265.0}, Published{"h100-sxm", 8192, 308.0}}) {
    CAPTURE(row.gpu);
    CAPTURE(row.seq);
    const auto costs = calibrated_kernel_costs(load_gpu(row.gpu), {.attention_kernel = "FlashAttention-2"});
    Attention work{
        .batch = 16384 / row.seq, .heads = 16, .kv_heads = 16, .seq_q = row.seq, .seq_kv = row.seq, .head_dim = 128};
    Flops flops = work.flops();
    Seconds time = costs->attention(work);
    work.direction = Direction::kBackward;
    flops += work.flops();
    time += costs->attention(work);
    CHECK((flops / time).value / 1e12 == doctest::Approx(row.tflops).epsilon(0.15));
  }
}

// Unfused attention multiplies many small matrices of depth head_dim: writing the scores bounds it, not arithmetic.
TEST_CASE("batched GEMMs of head_dim depth are bound by memory") {
  const GpuSpec gpu = load_gpu("a100-80");
  const auto costs = calibrated_kernel_costs(gpu);
  const Gemm scores{.m = 2048, .n = 2048, .k = 128, .batch = 48};
  const double elements = 48.0 * (2.0 * 2048.0 * 128.0 + 2048.0 * 2048.0);
  const Seconds memory = Bytes{2.0 * elements} / gpu.memory_bandwidth;
  const Seconds time = costs->gemm(scores);
  CHECK(time > memory);
  CHECK(time < 3.0 * memory);
}

}  // namespace
}  // namespace trainyard::test_kernel_costs
