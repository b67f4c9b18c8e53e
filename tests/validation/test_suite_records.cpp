#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "kernels/gemm_model.hpp"
#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "validation/fit/fit_kernels.hpp"
#include "validation/fit/suite_checks.hpp"
#include "validation/fit/sustained_clocks.hpp"
#include "validation/tables/suite_records.hpp"

namespace trainyard::test_suite_records {
namespace {

struct SuiteFile {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / fmt::format("trainyard_suite_{}.jsonl", ::getpid());
  explicit SuiteFile(const std::string& text) { write_file(path, text); }
  ~SuiteFile() { std::filesystem::remove(path); }
  SuiteFile(const SuiteFile&) = delete;
  SuiteFile& operator=(const SuiteFile&) = delete;
};

// Synthetic records in the suite's form (format 2); nobody measured them.
const std::string kMachine =
    R"({"record":"machine","format":2,"gpu":"synthetic A100","compute_capability":"8.0","multiprocessors":108,)"
    R"("sm_clock_max_hz":1410000000.0})"
    "\n";
const std::string kHopper =
    R"({"record":"machine","format":2,"gpu":"synthetic H100","compute_capability":"9.0","multiprocessors":132,)"
    R"("sm_clock_max_hz":1980000000.0})"
    "\n";

struct Recorded {
  const char* cache = "cold";
  const char* mode = "burst";
  const char* dtype = "bf16";
  const char* pass = "forward";
  bool fast = false;
};

std::string gemm_record(const Gemm& work, double seconds, const Recorded& as = {}) {
  const bool fp8 = std::string_view(as.dtype) == "fp8";
  return fmt::format(
      R"({{"record":"gemm","dtype":"{}","m":{},"n":{},"k":{},"batch":1,"pass":"{}","a_dtype":"{}","b_dtype":"{}",)"
      R"("out_dtype":"bf16","accumulate":false,"fast_accumulate":{},"origin":"synthetic","layout":"TN","algorithm":66,)"
      R"("cache":"{}","mode":"{}","time_s":{{"median":{:.9e},"low":0.0,"high":0.0,"repeats":10}},)"
      R"("flops_per_s":{:.6e},"samples":4,"sm_clock_hz":1410000000.0,"sm_clock_low_hz":1410000000.0,)"
      R"("throttle_reasons":"0x0","throttle":{{}},"temperature_c":40.0}})"
      "\n",
      as.dtype, work.m, work.n, work.k, as.pass, fp8 ? "fp8_e4m3" : as.dtype, fp8 ? "fp8_e4m3" : as.dtype, as.fast,
      as.cache, as.mode, seconds, work.flops().value / seconds);
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

TEST_CASE("every record of suite output is a row, a check or a reason") {
  const GpuSpec gpu = load_gpu("a100-80");  // 40 MiB of L2, 312 TFLOP/s, 2.04 TB/s
  const Gemm small{.m = 64, .n = 32, .k = 16};
  const Gemm large{.m = 16384, .n = 16384, .k = 4096};  // operands of 268 MB
  const SuiteFile file(
      kMachine + gemm_record(small, 1e-5) + gemm_record(small, 8e-6, {.cache = "warm"}) +
      gemm_record(large, 1e-2, {.cache = "warm"}) + gemm_record(large, 12e-3, {.mode = "sustained"}) +
      gemm_record(large, 1e-3) +  // 2.2e12 FLOPs in a millisecond: 2199 TFLOP/s
      R"({"record":"attention","kernel":"cuDNN","dtype":"bf16","batch":2,"seq":512,"heads":8,"kv_heads":2,"head_dim":64,)"
      R"("causal":true,"direction":"bwd","time_s":{"median":2e-4}})"
      "\n"
      R"({"record":"membound","kernel":"softmax","kind":"reduction","dtype":"bf16","shape":"512x512","cache":"cold",)"
      R"("traffic_bytes":1e6,"time_s":{"median":3e-6}})"
      "\n"
      R"({"record":"membound","kernel":"gelu","kind":"elementwise","dtype":"bf16","shape":"512x512","cache":"cold",)"
      R"("traffic_bytes":1e9,"time_s":{"median":1e-4}})"
      "\n"  // 10 TB/s: never from memory
      R"({"record":"membound","kernel":"adam","kind":"elementwise","dtype":"fp32","shape":"9","cache":"warm",)"
      R"("launched_by":"launched","traffic_bytes":1e6,"time_s":{"median":1e-5}})"
      "\n"
      R"({"record":"grouped_gemm","rows":[16,32],"n":64,"k":128,"groups":2,"out_dtype":"bf16","dtype":"bf16",)"
      R"("time_s":{"median":2e-5}})"
      "\n"
      R"({"record":"launch","what":"interval_of_dependent_empty_kernels_in_a_graph","calls":500,"time_s":{"median":1e-6}})"
      "\n"
      R"({"record":"launch","what":"host_time_of_a_stream_launch","calls":500,"time_s":{"median":2e-6}})"
      "\n"
      R"({"record":"copy","direction":"device_to_device","bytes":1e9,"time_s":{"median":2e-3}})"
      "\n"
      R"({"record":"copy","direction":"host_to_device","bytes":1e9,"time_s":{"median":4e-2}})"
      "\n"
      R"({"record":"nccl","op":"all_reduce","dtype":"float","ranks":4,"nodes":1,"shared_gpu":true,"size_bytes":1024,)"
      R"("wrong":0,"time_s":{"median":5e-5}})"
      "\n"
      R"({"record":"left_out","why":"no time"})"
      "\n"
      R"({"record":"part","part":"gemm","cases_left_by_time_limit":0,"cases_failed":0})"
      "\n");
  const SuiteRecords records = read_suite(file.path.string(), &gpu);
  CHECK(records.machines.size() == 1);
  const auto& rows = records.kernels;
  REQUIRE(rows.size() == 11);
  CHECK(rows[0].skipped.empty());
  CHECK(rows[0].measured.value == doctest::Approx(1e-5));
  CHECK(rows[1].skipped.find("warm") != std::string::npos);
  CHECK(rows[2].skipped.empty());  // 268 MB of operands are never warm in 40 MiB
  CHECK(rows[3].skipped.empty());
  CHECK(rows[3].source == kSuiteSustained);
  CHECK(rows[4].skipped.find("peak") != std::string::npos);
  const auto& attention = std::get<MeasuredAttention>(rows[5].work);
  CHECK(attention.pass == AttentionPass::kBackward);
  CHECK(attention.work.mask == Mask::kCausal);
  CHECK(attention.work.kv_heads == 2);
  CHECK(std::get<MeasuredMemoryBound>(rows[6].work).kind == MemoryBoundKind::kReduction);
  CHECK(std::get<MeasuredMemoryBound>(rows[6].work).cache == CacheState::kCold);
  CHECK(rows[7].skipped.find("faster than the memory") != std::string::npos);
  CHECK(rows[8].skipped == kFrameworkKernel);
  CHECK(std::get<MeasuredGroupedGemm>(rows[9].work).work.total_tokens() == 48);
  // A copy reads and writes.
  CHECK(std::get<MeasuredMemoryBound>(rows[10].work).work.traffic.value == doctest::Approx(2e9));
  CHECK(std::get<MeasuredMemoryBound>(rows[10].work).cache == CacheState::kCold);
  CHECK(records.others.size() == 4);
  REQUIRE(records.collectives.size() == 1);
  CHECK(records.collectives[0].why_skipped.find("shared one GPU") != std::string::npos);
}

TEST_CASE("fp8 enters as it is trained: fast accumulation forward, none backward") {
  const GpuSpec gpu = load_gpu("h100-sxm");
  const Gemm work{.m = 4096, .n = 4096, .k = 4096};
  const SuiteFile file(kHopper + gemm_record(work, 2e-4, {.dtype = "fp8", .fast = true}) +
                       gemm_record(work, 2e-4, {.dtype = "fp8"}) +
                       gemm_record(work, 2e-4, {.dtype = "fp8", .pass = "dgrad", .fast = true}) +
                       gemm_record(work, 2e-4, {.dtype = "fp8", .pass = "dgrad"}));
  const auto rows = read_suite(file.path.string(), &gpu).kernels;
  REQUIRE(rows.size() == 4);
  CHECK(rows[0].skipped.empty());
  CHECK_FALSE(rows[1].skipped.empty());
  CHECK_FALSE(rows[2].skipped.empty());
  CHECK(rows[3].skipped.empty());
}

TEST_CASE("fp8 with scales of blocks is a format of its own, and scales of rows are none") {
  const GpuSpec gpu = load_gpu("h100-sxm");
  const auto record = [](const char* scaling) {
    return fmt::format(
        R"({{"record":"gemm","m":8192,"n":28672,"k":4096,"batch":1,"out_dtype":"bf16","accumulate":false,)"
        R"("algorithm":"torch","time_s":{{"median":2e-3}},"dtype":"fp8","layout":"TN","scaling":"{}",)"
        R"("fast_accumulate":false,"cache":"warm","mode":"burst","pass":"forward"}})"
        "\n",
        scaling);
  };
  const SuiteFile file(kHopper + record("block") + record("row"));
  const auto rows = read_suite(file.path.string(), &gpu).kernels;
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].skipped.empty());  // 151 MB of operands and 470 of results are never warm in 50 MiB
  CHECK(std::get<Gemm>(rows[0].work).precision == Precision::kFp8Block);
  CHECK_FALSE(rows[1].skipped.empty());
}

TEST_CASE("a kernel whose check failed is not fitted, wherever the check stands") {
  const GpuSpec gpu = load_gpu("a100-80");
  const Gemm work{.m = 64, .n = 64, .k = 64};
  const SuiteFile file(
      kMachine + gemm_record(work, 1e-5) + gemm_record(work, 1e-5, {.pass = "dgrad"}) +
      R"({"record":"gemm_check","kernel":"bf16 x bf16 -> bf16 forward TN","relative_error":0.5,"tolerance":0.004,)"
      R"("right":false})"
      "\n"
      R"({"record":"membound_check","kernel":"softmax","relative_error":null,"tolerance":0.003,"right":false})"
      "\n"
      R"({"record":"membound","kernel":"softmax","kind":"reduction","dtype":"bf16","shape":"1","cache":"cold",)"
      R"("traffic_bytes":1e6,"time_s":{"median":3e-6}})"
      "\n"
      R"({"record":"attention_check","kernel":"cuDNN","relative_error":null,"tolerance":0.01,"right":false})"
      "\n"
      R"({"record":"attention","kernel":"cuDNN","dtype":"bf16","batch":1,"seq":64,"heads":1,"kv_heads":1,)"
      R"("head_dim":64,"causal":true,"direction":"fwd","time_s":{"median":1e-4}})"
      "\n");
  const auto rows = read_suite(file.path.string(), &gpu).kernels;
  REQUIRE(rows.size() == 4);
  CHECK(rows[0].skipped.find("wrong") != std::string::npos);
  CHECK(rows[1].skipped.empty());
  CHECK(rows[2].skipped.find("wrong") != std::string::npos);
  CHECK(rows[3].skipped.find("wrong") != std::string::npos);
}

TEST_CASE("a fit to synthetic suite output finds the model behind it") {
  const GpuSpec gpu = load_gpu("a100-80");
  const SuiteFile file(gemm_records(gpu));
  const KernelFit fit = fit_kernels("a100-80", {file.path.string()});
  CHECK(fit.report.at("cross_validated").at("a100-80 bf16").at("median_abs_error").get<double>() < 0.02);
  CHECK(fit.all.calibration.gemm_for(Precision::kBf16).power_ceiling == doctest::Approx(0.6).epsilon(0.03));
  CHECK(fit.report.at("valid_range").at("a100-80 bf16").at("m") == Json({64.0, 8192.0}));
}

TEST_CASE("sustained runs say what the clock gives way, and leave the burst's parameters alone") {
  const GpuSpec gpu = load_gpu("a100-80");
  // The clock of every sustained run is three quarters of the burst's.
  constexpr double kClock = 0.75;
  std::string text = gemm_records(gpu);
  std::size_t pairs = 0;
  for (const std::int64_t m : {3072, 8192}) {
    for (const std::int64_t n : {4096, 12288}) {
      const Gemm work{.m = m, .n = n, .k = 8192};
      text += gemm_record(work, gemm_time(work, gpu, kTruth, kClock).value, {.mode = "sustained"});
      ++pairs;
    }
  }
  const KernelFit fit = fit_kernels("a100-80", {SuiteFile(text).path.string()});
  const Json& clock = fit.report.at("sustained_clock").at("half");
  CHECK(clock.at("pairs") == pairs);
  CHECK(clock.at("ratio").get<double>() == doctest::Approx(kClock).epsilon(0.02));
  CHECK(fit.all.calibration.gemm_for(Precision::kBf16).power_ceiling == doctest::Approx(0.6).epsilon(0.03));
  CHECK(fit.report.at("cross_validated").at("a100-80 bf16").at("median_abs_error").get<double>() < 0.02);
}

TEST_CASE("what no parameter is fitted to is checked beside the fit") {
  const GpuSpec gpu = load_gpu("a100-80");
  const std::string text =
      gemm_records(gpu) +
      R"({"record":"launch","what":"host_time_of_a_stream_launch","calls":500,"time_s":{"median":2e-6}})"
      "\n"
      R"({"record":"copy","direction":"host_to_device","bytes":1e9,"time_s":{"median":4e-2}})"
      "\n"
      R"({"record":"overlap","first":"gemm bf16 8192x8192x8192","second":"copy of 16 blocks","blocks":16,)"
      R"("first_slowdown":1.25,"second_slowdown":1.1,"second_beside_bytes_per_s":5e11,"covered":true})"
      "\n"
      R"({"record":"train_step","model":"llama-3-8b","layers":4,"seq_len":4096,"micro_batch":1,"recipe":"bf16",)"
      R"("launch":"eager","time_s":{"median":0.2}})"
      "\n"
      R"({"record":"convolution","kernel":"cuDNN","dtype":"bf16","layout":"nhwc","direction":"fwd","batch":256,)"
      R"("channels":64,"height":56,"width":56,"filters":64,"filter_height":3,"filter_width":3,"pad_height":1,)"
      R"("pad_width":1,"stride":1,"groups":1,"time_s":{"median":1e-4}})"
      "\n";
  const Json suite = fit_kernels("a100-80", {SuiteFile(text).path.string()}).report.at("suite");
  CHECK(suite.at("launch").at("host_time_of_a_stream_launch, 500 calls") == 2e-6);
  // 25 GB/s over PCIe 4 x16.
  CHECK(suite.at("host_copies").at("host_to_device").get<double>() ==
        doctest::Approx(25e9 / gpu.pcie_bandwidth.value).epsilon(0.01));
  const Json& overlap = suite.at("overlap").at(0);
  CHECK(overlap.at("measured") == 1.25);
  // 16 of 108 SMs are held: between no slowdown and one by a wave more.
  CHECK(overlap.at("predicted").get<double>() >= 108.0 / 108.0);
  CHECK(overlap.at("predicted").get<double>() < 1.5);
  CHECK(suite.at("train_steps").at(0).at("measured_s") == 0.2);
  CHECK(suite.at("convolutions") == 1);
}

TEST_CASE("every measurement of the project's own is read, and nothing of it is wrong or faster than its GPU") {
  std::size_t files = 0;
  std::size_t steps = 0;
  std::size_t convolutions = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(TRAINYARD_SOURCE_DIR) + "/validation/measurements")) {
    const std::string name = entry.path().filename().string();
    if (!is_suite_output(name)) {
      continue;
    }
    CAPTURE(name);
    ++files;
    const SuiteRecords records = read_suite(entry.path().string(), nullptr);
    CHECK_FALSE(records.machines.empty());
    const GpuSpec gpu = load_gpu(name.starts_with("h200") ? "h200" : "h100-sxm");
    for (const KernelMeasurement& row : read_suite(entry.path().string(), &gpu).kernels) {
      CAPTURE(row.id);
      CHECK(row.skipped.find("faster") == std::string::npos);
      CHECK(row.skipped.find("wrong") == std::string::npos);
    }
    for (const Json& other : records.others) {
      steps += other.at("record") == "train_step" ? 1 : 0;
    }
    for (const KernelMeasurement& row : records.kernels) {
      convolutions += row.kind() == KernelKind::kConvolution ? 1U : 0U;
    }
  }
  CHECK(files == 10);
  CHECK(steps == 27 + 21 + 21 + 39 + 25);
  CHECK(convolutions == 672);
}

TEST_CASE("what an H100 recorded is read whole, below its peaks, and says what its clock gives way") {
  const GpuSpec gpu = load_gpu("h100-sxm");
  const std::string file = std::string(TRAINYARD_SOURCE_DIR) + "/validation/measurements/h100-sxm-20261126-quick.jsonl";
  const SuiteRecords records = read_suite(file, &gpu);
  MeasurementRows rows;
  for (const KernelMeasurement& row : records.kernels) {
    CAPTURE(row.id);
    // Nothing was wrong, and nothing faster than the GPU can be.
    CHECK(row.skipped.find("faster") == std::string::npos);
    CHECK(row.skipped.find("wrong") == std::string::npos);
    if (row.skipped.empty()) {
      rows.push_back(&row);
    }
  }
  CHECK(rows.size() > 100);
  const auto clocks = sustained_clocks(rows);
  REQUIRE(clocks.size() == 2);
  // bf16: sustained over burst rate 0.858 0.858 0.871 0.872 0.874 0.877 0.879 0.883 0.89 0.897; fp8 as it is trained:
  // 0.849 0.852 0.864 0.868 0.879 0.893 0.895 0.918 0.946 1.028.
  CHECK(clocks.at(PrecisionFamily::kHalf).pairs == 10);
  CHECK(clocks.at(PrecisionFamily::kHalf).ratio == doctest::Approx(0.8755).epsilon(0.002));
  CHECK(clocks.at(PrecisionFamily::kFp8).pairs == 10);
  CHECK(clocks.at(PrecisionFamily::kFp8).ratio == doctest::Approx(0.886).epsilon(0.002));
  const Json checks = suite_checks({file}, gpu, {.calibration = calibration_for(gpu)});
  CHECK(checks.at("overlap").size() == 15);
  CHECK(checks.at("train_steps").size() == 27);
  CHECK(checks.at("framework_kernels").contains("adamw_fused"));
  CHECK(checks.at("fixed_time").at("empty_kernel_s").get<double>() == doctest::Approx(0.783e-6).epsilon(0.01));
  CHECK(checks.at("fixed_time").at("fitted_s").get<double>() > 0.783e-6);
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

}  // namespace trainyard::test_suite_records
