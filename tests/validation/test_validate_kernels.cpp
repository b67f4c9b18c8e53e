#include <doctest/doctest.h>

#include <filesystem>
#include <string_view>

#include "kernels/gpu.hpp"
#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "tests/sanitized.hpp"
#include "validation/score/validate_kernels.hpp"

namespace trainyard::test_validate_kernels {
namespace {

std::string written(std::string_view name, std::string_view content) {
  const auto path = std::filesystem::temp_directory_path() / name;
  write_file(path, content);
  return path.string();
}

TEST_CASE("a hand-made table is scored row by row and summed up") {
  const std::string file = written("trainyard_validate_gemm.csv",
                                   "id,gpu,dtype,m,n,k,batch,layout,time_us,tflops,source_repo,notes\n"
                                   "a,a100-80,bf16,4096,4096,4096,1,,514,,,\n"
                                   "b,a100-80,bf16,2048,2048,2048,1,,108.5,,,\n"
                                   "c,gaudi2,bf16,2048,2048,2048,1,,100,,,\n");
  const Json result = validate_gemm({file}, nullptr);
  const Json& summary = result.at("files").at(0);
  CHECK(summary.at("rows") == 3);
  CHECK(summary.at("simulated") == 2);
  CHECK(summary.at("skipped") == 1);
  CHECK(summary.at("regret_median").is_null());
  const Json& rows = result.at("rows");
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].at("measured").get<double>() == doctest::Approx(514e-6));
  CHECK(rows[0].at("error").get<double>() == doctest::Approx(rows[0].at("predicted").get<double>() / 514e-6 - 1.0));
  CHECK(rows[2].at("status") == "skipped");
  CHECK(rows[2].at("predicted").is_null());
  // Two errors: their median is their mean.
  CHECK(summary.at("median_abs_error").get<double>() == doctest::Approx(summary.at("mean_abs_error").get<double>()));
  CHECK(kernel_validation_text(result).find("a100-80 bf16") != std::string::npos);
  CHECK(kernel_validation_text(result).find("skipped 1: GPU \"gaudi2\" is not in the catalogue") != std::string::npos);
  std::filesystem::remove(file);
}

TEST_CASE("the answer has every key of the contract") {
  const std::string file = written("trainyard_validate_attention.csv",
                                   "id,gpu,dtype,batch,seq,heads,kv_heads,head_dim,causal,direction,time_us,notes\n"
                                   "a,a100-80,bf16,1,4096,32,8,128,1,fwd,1000,\n");
  const Json result = validate_attention({file}, nullptr);
  for (const char* key : {"file", "rows", "simulated", "assumed", "skipped", "median_abs_error", "mean_abs_error",
                          "p90_abs_error", "bias", "spearman", "regret_median", "regret_max", "regret_groups",
                          "memory_median_abs_error", "fit_accuracy", "oom_precision", "oom_recall", "by_group"}) {
    CAPTURE(key);
    CHECK(result.at("files").at(0).contains(key));
  }
  for (const char* key : {"file", "id", "status", "measured", "predicted", "error", "measured_memory_gb",
                          "predicted_memory_gb", "reason"}) {
    CAPTURE(key);
    CHECK(result.at("rows").at(0).contains(key));
  }
  CHECK(result.at("files").at(0).at("spearman").is_null());    // one pair has no order
  CHECK_THROWS_AS(validate_gemm({file}, nullptr), UserError);  // attention is no GEMM
  std::filesystem::remove(file);
}

TEST_CASE("the suite's output is scored by kinds of kernel, on the GPU that is named") {
  const std::string file = written(
      "trainyard_validate_suite.jsonl",
      R"({"record":"machine","gpu":"NVIDIA H200","compute_capability":"9.0","multiprocessors":132,"sm_clock_max_hz":1.98e9}
{"record":"gemm","dtype":"bf16","m":8192,"n":8192,"k":8192,"batch":1,"layout":"TN","out_dtype":"bf16","accumulate":false,"cache":"cold","mode":"burst","time_s":{"median":0.0014}}
{"record":"gemm","dtype":"bf16","m":8192,"n":8192,"k":8192,"batch":1,"layout":"TN","out_dtype":"bf16","accumulate":false,"cache":"cold","mode":"sustained","time_s":{"median":0.0017}}
{"record":"attention","kernel":"FlashAttention-2","dtype":"bf16","batch":4,"seq":4096,"heads":32,"kv_heads":8,"head_dim":128,"causal":true,"direction":"fwd","time_s":{"median":0.0014}}
{"record":"membound","kernel":"gelu","kind":"elementwise","dtype":"bf16","shape":"8192x8192","cache":"cold","traffic_bytes":268435456,"time_s":{"median":0.00007}}
{"record":"convolution","kernel":"cuDNN","dtype":"bf16","layout":"nhwc","direction":"dgrad","batch":256,"channels":64,"height":56,"width":56,"filters":64,"filter_height":3,"filter_width":3,"pad_height":1,"pad_width":1,"stride":1,"groups":1,"time_s":{"median":0.0003}}
)");
  const GpuSpec gpu = load_gpu("h200");
  const Json gemms = validate_gemm({file}, &gpu);
  REQUIRE(gemms.at("rows").size() == 2);
  const Json& burst = gemms.at("rows").at(0);
  const Json& sustained = gemms.at("rows").at(1);
  CHECK(burst.at("measured") == 0.0014);
  CHECK(burst.at("fit") == "none, priced by h200");
  CHECK(sustained.at("predicted").get<double>() > burst.at("predicted").get<double>());  // at a lower clock
  CHECK(kernel_validation_text(gemms).find("h200 bf16 sustained") != std::string::npos);
  CHECK(validate_attention({file}, &gpu).at("rows").size() == 1);
  const Json bound = validate_memory_bound({file}, &gpu);
  REQUIRE(bound.at("rows").size() == 1);
  CHECK(bound.at("rows").at(0).at("group") == "h200 gelu");
  const Json convolutions = validate_convolutions({file}, &gpu);
  REQUIRE(convolutions.at("rows").size() == 1);
  CHECK(convolutions.at("rows").at(0).at("group") == "h200 bf16 input_gradient");
  CHECK(convolutions.at("rows").at(0).at("fit") == "none, fitted on other GPUs");
  CHECK_THROWS_WITH_AS(validate_gemm({file}, nullptr), doctest::Contains("--gpu"), UserError);
  const std::string renamed = written("trainyard_validate_suite.txt", read_file(file));
  CHECK(validate_gemm({renamed}, &gpu).at("rows").size() == 2);
  std::filesystem::remove(renamed);
  std::filesystem::remove(file);
}

TEST_CASE("kernels of which none can be priced have no line of errors but a reason") {
  const std::string file = written(
      "trainyard_validate_framework.jsonl",
      R"({"record":"machine","gpu":"NVIDIA H200","compute_capability":"9.0","multiprocessors":132,"sm_clock_max_hz":1.98e9}
{"record":"membound","kernel":"gelu","kind":"elementwise","dtype":"bf16","shape":"8192x8192","cache":"cold","traffic_bytes":268435456,"time_s":{"median":0.00007}}
{"record":"membound","kernel":"adamw_fused","kind":"elementwise","dtype":"fp32","shape":"8192x8192","launched_by":"launched","traffic_bytes":268435456,"time_s":{"median":0.00007}}
)");
  const GpuSpec gpu = load_gpu("h200");
  const Json result = validate_memory_bound({file}, &gpu);
  const std::string text = kernel_validation_text(result);
  CHECK(text.find("h200 gelu") != std::string::npos);
  CHECK(text.find("adamw_fused") == std::string::npos);
  CHECK(text.find("skipped 1: a framework's kernel") != std::string::npos);
  CHECK(result.at("rows").size() == 2);
  CHECK(result.at("files").at(0).at("by_group").size() == 4);  // both, and by size
  std::filesystem::remove(file);
}

// The bars of the project for single kernels, on published tables and parameters that have not seen the scored shape.
TEST_CASE("published kernel times are met within the project's bars") {
  const auto folder = home_folder() / "validation/published/kernels";
  const auto score = [&](const auto& validate, const char* file) {
    return validate({(folder / file).string()}, nullptr).at("files").at(0);
  };
  for (const char* file : {"gemm_aiconfigurator_a100-80.csv", "gemm_aiconfigurator_h100-sxm.csv",
                           "gemm_aiconfigurator_b200.csv", "gemm_simumax.csv", "gemm_xla.csv"}) {
    CAPTURE(file);
    if (checks::kSanitized && std::string_view(file).find("aiconfigurator") != std::string_view::npos) {
      continue;  // tens of thousands of rows
    }
    const Json summary = score(validate_gemm, file);
    CHECK(summary.at("median_abs_error").template get<double>() < 0.10);
    CHECK(summary.at("p90_abs_error").template get<double>() < 0.30);
  }
  CHECK(score(validate_attention, "attention_flash.csv").at("median_abs_error").get<double>() < 0.08);
  CHECK(score(validate_attention, "attention_aiconfigurator_a100-80.csv").at("median_abs_error").get<double>() < 0.08);
  CHECK(score(validate_memory_bound, "membound_aiconfigurator.csv").at("median_abs_error").get<double>() < 0.08);
}

}  // namespace
}  // namespace trainyard::test_validate_kernels
