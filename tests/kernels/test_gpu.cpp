#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "kernels/gpu.hpp"
#include "sim/base/error.hpp"

namespace trainyard::test_gpu {
namespace {

TEST_CASE("every catalogue entry loads and has the figures that simulation needs") {
  for (const std::string& name : gpu_names()) {
    CAPTURE(name);
    const GpuSpec gpu = load_gpu(name);
    CHECK(gpu.name == name);
    CHECK(gpu.multiprocessors > 0);
    CHECK(gpu.boost_clock > Hertz{});
    CHECK(gpu.memory > Bytes{1e9});
    CHECK(gpu.memory_bandwidth > BytesPerSecond{1e11});
    CHECK(gpu.l2_cache > Bytes{});
    CHECK((gpu.scale_up_links == 0) == (gpu.scale_up_bandwidth == BytesPerSecond{}));
    CHECK(gpu.sustained_clock_ratio > 0.5);
    CHECK(gpu.sustained_clock_ratio <= 1.0);
  }
}

// peak = clock x SMs x tensor cores per SM x multiply-adds per clock and tensor core x 2 FLOPs.
TEST_CASE("tensor peaks follow from clock and cores") {
  struct Derived {
    const char* name;
    double multiply_adds_per_sm_and_clock;
  };
  // V100: 8 tensor cores x 64; A100: 4 x 256; H100: 4 x 512 (architecture whitepapers).
  for (const Derived& row : {Derived{"v100-32", 512.0}, Derived{"a100-80", 1024.0}, Derived{"h100-sxm", 2048.0},
                             Derived{"h100-pcie", 2048.0}, Derived{"t4", 512.0}}) {
    CAPTURE(row.name);
    const GpuSpec gpu = load_gpu(row.name);
    const double derived = gpu.boost_clock.value * gpu.multiprocessors * row.multiply_adds_per_sm_and_clock * 2.0;
    const double stated = gpu.peak_for(Precision::kFp16).value;
    CHECK(std::abs(stated / derived - 1.0) < 0.09);  // H100 PCIe is specified at 1620 MHz, below its 1755 MHz boost
  }
}

TEST_CASE("ordinary fp32 peaks follow from clock and cores") {
  // 64 multiply-adds per SM and clock on V100, A100 and P100, 128 on Maxwell and consumer Pascal.
  struct Derived {
    const char* name;
    double multiply_adds_per_sm_and_clock;
  };
  for (const Derived& row :
       {Derived{"v100-32", 64.0}, Derived{"a100-40", 64.0}, Derived{"p100", 64.0}, Derived{"m40", 128.0},
        Derived{"titanxp", 128.0}, Derived{"1080ti", 128.0}, Derived{"t4", 64.0}, Derived{"k80", 192.0}}) {
    CAPTURE(row.name);
    const GpuSpec gpu = load_gpu(row.name);
    const double derived = gpu.boost_clock.value * gpu.multiprocessors * row.multiply_adds_per_sm_and_clock * 2.0;
    CHECK(gpu.peak_for(Precision::kFp32).value == doctest::Approx(derived).epsilon(0.01));
  }
}

TEST_CASE("an entry that is the same as another differs only in what it states") {
  const GpuSpec base = load_gpu("h100-sxm");
  const GpuSpec alias = load_gpu("h800");
  CHECK(alias.peak == base.peak);
  CHECK(alias.calibration == base.calibration);
  CHECK(alias.scale_up_bandwidth == BytesPerSecond{200e9});
  CHECK(load_gpu("a100").memory == load_gpu("a100-80").memory);
}

TEST_CASE("a precision without units runs at the next wider one") {
  const GpuSpec volta = load_gpu("v100-16");
  CHECK(volta.peak_for(Precision::kBf16) == volta.peak_for(Precision::kFp32));
  CHECK(volta.peak_for(Precision::kTf32) == volta.peak_for(Precision::kFp32));
  const GpuSpec ampere = load_gpu("a100-40");
  CHECK(ampere.peak_for(Precision::kFp8) == ampere.peak_for(Precision::kBf16));
  const GpuSpec hopper = load_gpu("h200");
  CHECK(hopper.peak_for(Precision::kFp4) == hopper.peak_for(Precision::kFp8));
}

TEST_CASE("a GPU has the formats that its generation has units for") {
  // Sources: NVIDIA's architecture white papers of Volta, Ampere, Hopper and Blackwell; AMD's of CDNA 2 and 3.
  struct Row {
    const char* gpu;
    std::vector<std::string> formats;
  };
  for (const Row& row :
       {Row{"k80", {"fp32"}}, Row{"v100-16", {"fp32", "fp16"}}, Row{"t4", {"fp32", "fp16"}},
        Row{"a100-80", {"fp32", "tf32", "fp16", "bf16"}},
        Row{"h100-sxm", {"fp32", "tf32", "fp16", "bf16", "fp8", "fp8_block"}},
        Row{"b200", {"fp32", "tf32", "fp16", "bf16", "fp8", "fp8_block", "fp4", "mxfp8", "nvfp4"}},
        Row{"mi250x", {"fp32", "fp16", "bf16"}}, Row{"mi300x", {"fp32", "tf32", "fp16", "bf16", "fp8", "fp8_block"}}}) {
    CAPTURE(row.gpu);
    CHECK(load_gpu(row.gpu).formats() == row.formats);
  }
}

TEST_CASE("the H100 of 96 GB is a part of its own: HBM2e at 2.4 TB/s, 500 W") {
  const GpuSpec small = load_gpu("h100-sxm");
  const GpuSpec large = load_gpu("h100-96");
  CHECK(large.memory_bandwidth == BytesPerSecond{2.4e12});
  CHECK(large.power_watts == 500.0);
  CHECK(large.memory > Bytes{94.0 * 1073741824.0});
  CHECK(large.memory < Bytes{96e9 * 1.073});
  CHECK(large.multiprocessors == small.multiprocessors);
  CHECK(large.sustained_clock_ratio < small.sustained_clock_ratio);
}

TEST_CASE("an unknown GPU is the user's fault and the nearest name is offered") {
  try {
    load_gpu("h100-smx", "scenario.json", "/cluster/gpu");
    FAIL("no error");
  } catch (const UserError& error) {
    CHECK(error.fault().file == "scenario.json");
    CHECK(error.fault().pointer == "/cluster/gpu");
    CHECK(error.fault().nearest == "h100-sxm");
  }
}

}  // namespace
}  // namespace trainyard::test_gpu
