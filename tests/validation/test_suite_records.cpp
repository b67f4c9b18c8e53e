#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "kernels/gemm_model.hpp"
#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "validation/fit_kernels.hpp"
#include "validation/suite_records.hpp"

namespace trainyard {
namespace {

struct SuiteFile {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / fmt::format("trainyard_suite_{}.jsonl", ::getpid());
  explicit SuiteFile(const std::string& text) { write_file(path, text); }
  ~SuiteFile() { std::filesystem::remove(path); }
  SuiteFile(const SuiteFile&) = delete;
  SuiteFile& operator=(const SuiteFile&) = delete;
};

// Synthetic records in the suite's form; nobody measured them.
const std::string kMachine =
    R"({"record":"machine","format":1,"gpu":"synthetic A100","compute_capability":"8.0","multiprocessors":108})"
    "\n";

std::string gemm_record(const Gemm& work, double seconds, const char* cache = "cold") {
  return fmt::format(
      R"({{"record":"gemm","dtype":"bf16","m":{},"n":{},"k":{},"batch":1,"layout":"TN","out_dtype":"bf16",)"
      R"("accumulate":false,"cache":"{}","mode":"burst","time_s":{{"median":{:.9e},"low":0,"high":0,"repeats":10}}}})"
      "\n",
      work.m, work.n, work.k, cache, seconds);
}

const GemmParameters kTruth{.fixed_time = {5e-6},
                            .tensor_efficiency = 0.8,
                            .operand_load = 0.004,
                            .fill_depth = 100.0,
                            .memory_efficiency = 0.7,
                            .power_ceiling = 0.6,
                            .split_time = {2e-6},
                            .split_traffic = 0.5,
                            .overlap = 3.0};

std::string gemm_records(const GpuSpec& gpu) {
  std::string text = kMachine;
  for (const int m : {64, 512, 1024, 3072, 8192}) {
    for (const int n : {256, 1024, 4096, 12288}) {
      for (const int k : {128, 512, 2048, 8192}) {
        const Gemm work{.m = m, .n = n, .k = k};
        text += gemm_record(work, gemm_time(work, gpu, kTruth, 1.0).value);
      }
    }
  }
  return text;
}

}  // namespace

TEST_CASE("suite output is read as rows, warm ones left out of fits") {
  const GpuSpec gpu = load_gpu("a100-80");
  const SuiteFile file(
      kMachine + gemm_record({.m = 64, .n = 32, .k = 16}, 1e-5) +
      gemm_record({.m = 64, .n = 32, .k = 16}, 8e-6, "warm") +
      R"({"record":"attention","kernel":"cuDNN","dtype":"bf16","batch":2,"seq":512,"heads":8,"kv_heads":2,"head_dim":64,)"
      R"("causal":true,"direction":"bwd","time_s":{"median":2e-4}})"
      "\n"
      R"({"record":"membound","kernel":"softmax","kind":"reduction","dtype":"bf16","shape":"512x512","traffic_bytes":1e6,)"
      R"("time_s":{"median":3e-6}})"
      "\n"
      R"({"record":"nccl","op":"all_reduce","dtype":"float","ranks":4,"nodes":1,"shared_gpu":true,"size_bytes":1024,)"
      R"("wrong":0,"time_s":{"median":5e-5}})"
      "\n"
      R"({"record":"left_out","why":"no time"})"
      "\n");
  const SuiteRecords records = read_suite(file.path.string(), &gpu);
  CHECK(records.machines.size() == 1);
  REQUIRE(records.kernels.size() == 4);
  CHECK(records.kernels[0].skipped.empty());
  CHECK(records.kernels[0].measured.value == doctest::Approx(1e-5));
  CHECK_FALSE(records.kernels[1].skipped.empty());
  const auto& attention = std::get<MeasuredAttention>(records.kernels[2].work);
  CHECK(attention.pass == AttentionPass::kBackward);
  CHECK(attention.work.mask == Mask::kCausal);
  CHECK(attention.work.kv_heads == 2);
  CHECK(std::get<MeasuredMemoryBound>(records.kernels[3].work).kind == MemoryBoundKind::kReduction);
  REQUIRE(records.collectives.size() == 1);
  CHECK(records.collectives[0].why_skipped.find("shared one GPU") != std::string::npos);
}

TEST_CASE("a fit to synthetic suite output finds the model behind it") {
  const GpuSpec gpu = load_gpu("a100-80");
  const SuiteFile file(gemm_records(gpu));
  const KernelFit fit = fit_kernels("a100-80", {file.path.string()});
  CHECK(fit.report.at("cross_validated").at("a100-80 bf16").at("median_abs_error").get<double>() < 0.02);
  CHECK(fit.all.calibration.gemm_for(Precision::kBf16).power_ceiling == doctest::Approx(0.6).epsilon(0.03));
  CHECK(fit.report.at("valid_range").at("a100-80 bf16").at("m") == Json({64.0, 8192.0}));
}

TEST_CASE("too few rows, repeats that disagree, another GPU and rows without a machine are refused in words") {
  const GpuSpec gpu = load_gpu("a100-80");
  const auto fit = [](const std::string& text) { return fit_kernels("a100-80", {SuiteFile(text).path.string()}); };
  std::string few = kMachine;
  for (std::int64_t i = 1; i <= 5; ++i) {
    few += gemm_record({.m = 64 * i, .n = 64, .k = 64}, 1e-5);
  }
  CHECK_THROWS_WITH_AS(fit(few), doctest::Contains("5 rows of the 12 needed (two for each of six parameters)"),
                       UserError);
  const Gemm work{.m = 64, .n = 64, .k = 64};
  CHECK_THROWS_WITH_AS(fit(gemm_records(gpu) + gemm_record(work, 1e-5) + gemm_record(work, 2e-5)),
                       doctest::Contains("contradict"), UserError);
  CHECK_THROWS_WITH_AS(fit(gemm_record(work, 1e-5)), doctest::Contains("before any machine record"), UserError);
  const SuiteFile file(kMachine);
  const GpuSpec other = load_gpu("h100-sxm");
  CHECK_THROWS_WITH_AS(read_suite(file.path.string(), &other), doctest::Contains("another GPU"), UserError);
}

TEST_CASE("a table without a column gpu is of the GPU that the caller names") {
  const auto path = std::filesystem::temp_directory_path() / fmt::format("trainyard_gemm_{}.csv", ::getpid());
  write_file(path, "dtype,m,n,k,time_us\nbf16,64,64,64,5\n");
  const GpuSpec gpu = load_gpu("a100-80");
  CHECK(read_kernel_measurements({path.string()}, &gpu).front().skipped.empty());
  CHECK_THROWS_AS(read_kernel_measurements({path.string()}), UserError);
  std::filesystem::remove(path);
}

}  // namespace trainyard
