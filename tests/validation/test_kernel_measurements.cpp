#include <doctest/doctest.h>

#include <filesystem>

#include "kernels/grouped_kernel.hpp"
#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "validation/tables/kernel_measurements.hpp"

namespace trainyard::test_kernel_measurements {
namespace {

// A table that the test writes and removes.
class Table {
 public:
  explicit Table(std::string_view content)
      : path_(std::filesystem::temp_directory_path() / "trainyard_kernel_measurements.csv") {
    write_file(path_, content);
  }
  ~Table() { std::filesystem::remove(path_); }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  std::vector<KernelMeasurement> rows() const { return read_kernel_measurements({path_.string()}); }

 private:
  std::filesystem::path path_;
};

constexpr std::string_view kGemmHeader = "id,gpu,dtype,m,n,k,batch,layout,time_us,tflops,source_repo,notes\n";

TEST_CASE("a GEMM row becomes a GEMM with its output traffic") {
  const Table table(std::string(kGemmHeader) +
                    "a,a100-80,bf16,64,128,256,1,,10,,,\n"
                    "b,a100-80,bf16,64,128,256,2,NT,10,,,out fp32 accumulate=True\n"
                    "c,a100-80,bf16,64,128,256,1,NT,10,,,out bf16 accumulate=True\n");
  const auto rows = table.rows();
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].skipped.empty());
  CHECK(rows[0].measured.value == doctest::Approx(10e-6));
  CHECK(std::get<Gemm>(rows[0].work).extra_traffic == Bytes{});
  // fp32, read and written, is 8 bytes per element instead of 2; 16-bit, read and written, 4 instead of 2.
  CHECK(std::get<Gemm>(rows[1].work).extra_traffic == Bytes{6.0 * 2.0 * 64.0 * 128.0});
  CHECK(std::get<Gemm>(rows[2].work).extra_traffic == Bytes{2.0 * 64.0 * 128.0});
}

TEST_CASE("rows of experts become grouped GEMMs, and their weight gradients sum over the tokens into fp32") {
  const Table table(std::string(kGemmHeader) +
                    "a,b200,bf16,64,128,256,4,,10,,,batch = number of groups; stage fwd; accumulate=False\n"
                    "b,b200,bf16,64,128,256,4,,10,,,batch = number of groups; stage bwd_grad_w; accumulate=True\n"
                    "c,h100-sxm,fp8,64,128,256,4,,10,,,DeepGEMM fp8 grouped; masked\n"
                    "d,h100-sxm,fp8,64,128,256,1,,10,,,DeepGEMM fp8 dense; batch = groups\n");
  const auto rows = table.rows();
  REQUIRE(rows.size() == 4);
  const auto& forward = std::get<MeasuredGroupedGemm>(rows[0].work);
  CHECK(forward.kernel == GroupedKernel::kManyStreams);
  CHECK(forward.work.tokens == std::vector<std::int64_t>(4, 64));
  CHECK(forward.work.by == GroupedBy::kRows);
  const auto& gradient = std::get<MeasuredGroupedGemm>(rows[1].work);
  CHECK(gradient.work.by == GroupedBy::kDepth);
  CHECK(gradient.work.extra_traffic == Bytes{6.0 * 4.0 * 128.0 * 256.0});
  CHECK(gradient.work.flops() == forward.work.flops());
  CHECK(std::get<MeasuredGroupedGemm>(rows[2].work).kernel == GroupedKernel::kOneKernel);
  CHECK(rows[2].group == "h100-sxm fp8 grouped");
  CHECK(rows[3].kind() == KernelKind::kGemm);
}

TEST_CASE("a row that cannot be priced says why") {
  const Table table(std::string(kGemmHeader) +
                    "a,gaudi2,bf16,64,128,256,1,,10,,,\n"
                    "b,a100-80,int8,64,128,256,1,,10,,,\n"
                    "c,v100-16,bf16,64,128,256,1,,10,,,\n"
                    "d,a100-80,bf16,64,128,256,1,,,,,\n"
                    "e,a100-80,bf16,,128,256,1,,10,,,\n");
  const auto rows = table.rows();
  REQUIRE(rows.size() == 5);
  CHECK(rows[0].skipped.find("gaudi2") != std::string::npos);
  CHECK(rows[1].skipped.find("int8") != std::string::npos);
  CHECK(rows[2].skipped.find("no units") != std::string::npos);
  CHECK(rows[3].skipped == "no measured time");
  CHECK(rows[4].skipped.find("not stated") != std::string::npos);
}

TEST_CASE("rows of one shape share a fold, whatever their format and source") {
  const Table table(std::string(kGemmHeader) +
                    "a,a100-80,bf16,64,128,256,1,,10,,,\n"
                    "b,h100-sxm,fp8,64,128,256,1,,12,,ai-dynamo/aiconfigurator,\n");
  const auto rows = table.rows();
  CHECK(fold_of(rows[0]) == fold_of(rows[1]));
  CHECK(fold_of(rows[0]) < kFolds);
}

TEST_CASE("folds are of similar size") {
  std::string content(kGemmHeader);
  for (int m = 1; m <= 1000; ++m) {
    content += "x,a100-80,bf16," + std::to_string(64 * m) + ",128,256,1,,10,,,\n";
  }
  std::vector<int> counts(kFolds);
  for (const KernelMeasurement& row : Table(content).rows()) {
    ++counts[fold_of(row)];
  }
  for (const int count : counts) {
    CHECK(count > 120);  // 200 expected, standard deviation sqrt(1000 * 0.2 * 0.8) = 12.6
    CHECK(count < 280);
  }
}

TEST_CASE("what a source adds to a kernel is added to its prediction and to no other's") {
  const Table table(std::string(kGemmHeader) +
                    "a,h100-sxm,fp8,4096,4096,4096,1,,100,,some/source,\n"
                    "b,h100-sxm,fp8,4096,4096,4096,1,,100,,,\n");
  const auto rows = table.rows();
  FittedKernels fitted{.calibration = calibration_for(*rows[0].gpu)};
  fitted.harnesses[{"some/source", PrecisionFamily::kFp8}] = {.extra_time = {5e-6}, .operand_pass = 2.0};
  const GemmParameters& parameters = fitted.calibration.gemm_for(Precision::kFp8);
  const Seconds pass = Bytes{2.0 * 4096.0 * 4096.0} / (rows[0].gpu->memory_bandwidth * parameters.memory_efficiency);
  CHECK((predicted_time(rows[0], fitted) - predicted_time(rows[1], fitted)).value ==
        doctest::Approx(5e-6 + pass.value));
}

TEST_CASE("forward and backward together are priced as both kernels") {
  const std::string header =
      "id,gpu,dtype,batch,seq,heads,kv_heads,head_dim,causal,direction,time_us,source_repo,notes\n";
  const Table table(header +
                    "a,a100-80,fp16,8,2048,16,16,128,1,fwd,100,,\n"
                    "b,a100-80,fp16,8,2048,16,16,128,1,bwd,100,,\n"
                    "c,a100-80,fp16,8,2048,16,16,128,1,fwd+bwd,100,,\n"
                    "d,a100-80,fp16,8,2048,16,16,128,1,fwd,100,Dao-AILab/flash-attention,\"kernel PyTorch; rounded\"\n"
                    "e,a100-80,fp16,8,2048,16,16,128,1,sideways,100,,\n");
  const auto rows = table.rows();
  const FittedKernels fitted{.calibration = calibration_for(*rows[0].gpu)};
  CHECK((predicted_time(rows[0], fitted) + predicted_time(rows[1], fitted)).value ==
        doctest::Approx(predicted_time(rows[2], fitted).value));
  CHECK(rows[3].skipped.find("not a fused kernel") != std::string::npos);
  CHECK(rows[4].skipped.find("sideways") != std::string::npos);
}

TEST_CASE("a table of something else is the user's fault") {
  const Table table("id,model,step_time_s\na,gpt,1.0\n");
  CHECK_THROWS_AS(table.rows(), UserError);
}

}  // namespace
}  // namespace trainyard::test_kernel_measurements
