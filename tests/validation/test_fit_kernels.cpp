#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "kernels/gemm_model.hpp"
#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "validation/fit/fit_kernels.hpp"

namespace trainyard::test_fit_kernels {
namespace {

// Times that the model itself gives with known parameters: a fit has to find its way back to them.
std::string synthetic_table(const GpuSpec& gpu, const GemmParameters& truth) {
  std::string content = "id,gpu,dtype,m,n,k,batch,layout,time_us,tflops,source_repo,notes\n";
  for (const int m : {64, 192, 512, 1024, 3072, 8192}) {
    for (const int n : {256, 1024, 2560, 4096, 12288}) {
      for (const int k : {128, 512, 2048, 8192}) {
        const Seconds time = gemm_time({.m = m, .n = n, .k = k}, gpu, truth, 1.0);
        content +=
            fmt::format("{}-{}-{},{},bf16,{},{},{},1,,{:.6f},,,\n", m, n, k, gpu.name, m, n, k, time.value * 1e6);
      }
    }
  }
  return content;
}

TEST_CASE("a fit to the model's own times predicts rows it has not seen, and repeats bit for bit") {
  const GpuSpec gpu = load_gpu("a100-80");
  const GemmParameters truth{.fixed_time = {5e-6},
                             .tensor_efficiency = 0.8,
                             .operand_load = 0.004,
                             .fill_depth = 100.0,
                             .memory_efficiency = 0.7,
                             .power_ceiling = 0.6,  // binds: tiles alone reach about 0.7
                             .split_time = {2e-6},
                             .split_traffic = 0.5,
                             .overlap = 3.0};
  const auto path = std::filesystem::temp_directory_path() / "trainyard_synthetic_gemm.csv";
  write_file(path, synthetic_table(gpu, truth));
  const KernelFit fit = fit_kernels("a100-80", {path.string()});
  const KernelFit again = fit_kernels("a100-80", {path.string()});
  std::filesystem::remove(path);

  CHECK(fit.name == "a100-80");
  REQUIRE(fit.folds.size() == kFolds);
  CHECK(to_json(fit).dump() == to_json(again).dump());
  // The times are exact, so only the minimiser's stopping separates prediction from truth.
  CHECK(fit.report.at("cross_validated").at("a100-80 bf16").at("median_abs_error").get<double>() < 0.02);
  CHECK(fit.all.calibration.gemm_for(Precision::kBf16).power_ceiling == doctest::Approx(0.6).epsilon(0.03));
  CHECK(fit.report.at("inputs").at(0).at("rows") == 120);
}

TEST_CASE("tables without a usable row for the GPU are the user's fault") {
  const auto path = std::filesystem::temp_directory_path() / "trainyard_empty_gemm.csv";
  write_file(path,
             "id,gpu,dtype,m,n,k,batch,layout,time_us,tflops,source_repo,notes\na,h100-sxm,bf16,64,64,64,1,,9,,,\n");
  CHECK_THROWS_AS(fit_kernels("a100-80", {path.string()}), UserError);
  CHECK_THROWS_AS(fit_kernels("a100-81", {path.string()}), UserError);
  std::filesystem::remove(path);
}

TEST_CASE("every profile that was fitted to tables has its folds, and they differ from one another") {
  for (const std::string name : {"a100-80", "h100-sxm", "b200", "v100-32"}) {
    CAPTURE(name);
    const std::vector<FittedKernels> folds = load_folds(name);
    REQUIRE(folds.size() == kFolds);
    CHECK(to_json(folds[0].calibration).dump() != to_json(folds[1].calibration).dump());
  }
  CHECK(load_folds("no-such-profile").empty());
}

}  // namespace
}  // namespace trainyard::test_fit_kernels
