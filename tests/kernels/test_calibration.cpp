#include <doctest/doctest.h>

#include <algorithm>

#include "kernels/calibration.hpp"
#include "kernels/kernel_costs.hpp"
#include "sim/base/files.hpp"

namespace trainyard::test_calibration {
namespace {

TEST_CASE("every profile reads, and writing it gives the same parameters") {
  for (const std::string& name : catalogue_names(kCalibrationFolder)) {
    CAPTURE(name);
    const auto path = home_folder() / kCalibrationFolder / (name + ".json");
    const Json document = read_json_file(path);
    const KernelCalibration calibration = parse_calibration(JsonReader(document, path.string()));
    CHECK(calibration.name == name);
    const Json written = to_json(calibration);
    CHECK(written.at("gemm") == document.at("gemm"));
    CHECK(written.at("attention").at("default") == document.at("attention").at("default"));
    CHECK(document.contains("fit"));
  }
}

TEST_CASE("a GPU without a profile borrows one of its architecture") {
  GpuSpec gpu = load_gpu("h100-sxm");
  gpu.calibration = "no-such-profile";
  CHECK(calibration_for(gpu).architecture == "hopper");
}

TEST_CASE("a GPU of which nothing was measured is priced by its own peaks, whatever the size of its cores") {
  for (const char* name : {"tpu-v4", "tpu-v5e"}) {
    CAPTURE(name);
    const GpuSpec gpu = load_gpu(name);
    CHECK_FALSE(is_measured(gpu));
    const auto costs = calibrated_kernel_costs(gpu);
    const Gemm work{.m = 8192, .n = 8192, .k = 8192, .precision = Precision::kBf16};
    const double reached = (work.flops() / costs->gemm(work)) / gpu.peak_for(Precision::kBf16);
    CHECK(reached > 0.5);
    CHECK(reached <= 1.0);
  }
  CHECK(is_measured(load_gpu("mi250x")));
  CHECK(is_measured(load_gpu("h100")));
}

TEST_CASE("a precision without parameters borrows the nearest family's") {
  const KernelCalibration ampere = calibration_for(load_gpu("a100-80"));
  CHECK(ampere.gemm_for(Precision::kFp16).fixed_time == ampere.gemm_for(Precision::kBf16).fixed_time);
  KernelCalibration only_half = ampere;
  only_half.gemm = {{PrecisionFamily::kHalf, ampere.gemm_for(Precision::kBf16)}};
  CHECK(only_half.gemm_for(Precision::kFp32).tensor_efficiency == ampere.gemm_for(Precision::kBf16).tensor_efficiency);
}

TEST_CASE("an unknown attention kernel means the default one") {
  const KernelCalibration hopper = calibration_for(load_gpu("h100-sxm"));
  const AttentionCalibration& fallback = hopper.attention_for(Precision::kBf16, "no-such-kernel");
  CHECK(fallback.forward.tensor_efficiency == hopper.attention_for(Precision::kBf16, "").forward.tensor_efficiency);
  CHECK(hopper.attention_for(Precision::kBf16, "FlashAttention-3").forward.tensor_efficiency >
        hopper.attention_for(Precision::kBf16, "FlashAttention-2").forward.tensor_efficiency);
}

TEST_CASE("a profile with an unknown or a missing parameter is the user's fault") {
  Json document = to_json(calibration_for(load_gpu("a100-80")));
  document["gemm"]["half"]["tensor_eficiency"] = 0.5;
  CHECK_THROWS_AS(parse_calibration(JsonReader(document, "p.json")), UserError);
  document["gemm"]["half"].erase("tensor_eficiency");
  CHECK_NOTHROW(parse_calibration(JsonReader(document, "p.json")));
  document["gemm"]["half"].erase("fill_depth");
  CHECK_THROWS_AS(parse_calibration(JsonReader(document, "p.json")), UserError);
}

TEST_CASE("a default attention kernel that is not listed is the user's fault") {
  Json document = to_json(calibration_for(load_gpu("a100-80")));
  document["attention"]["default"]["half"] = "imaginary";
  CHECK_THROWS_AS(parse_calibration(JsonReader(document, "p.json")), UserError);
}

}  // namespace
}  // namespace trainyard::test_calibration
