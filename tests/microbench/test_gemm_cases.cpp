#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <tuple>

#include "sim/base/error.hpp"
#include "validation/microbench/gemm_cases.hpp"

namespace trainyard::test_gemm_cases {
namespace {

bool has(const std::vector<GemmCase>& cases, Pass pass, std::int64_t m, std::int64_t n, std::int64_t k) {
  return std::any_of(cases.begin(), cases.end(), [&](const GemmCase& one) {
    return one.pass == pass && one.work.m == m && one.work.n == n && one.work.k == k;
  });
}

TEST_CASE("the catalogue's cases hold a known layer's GEMMs in all three passes") {
  const std::vector<GemmCase> cases = catalogue_gemms();
  // gpt3-175b: hidden 12288, 2048 tokens. At tp 8 the MLP's first matrix is 12288 x (4 * 12288 / 8 = 6144).
  CHECK(has(cases, Pass::kForward, 2048, 6144, 12288));
  CHECK(has(cases, Pass::kDgrad, 2048, 12288, 6144));
  const bool weight = has(cases, Pass::kWgrad, 6144, 12288, 2048) || has(cases, Pass::kWgrad, 12288, 6144, 2048);
  CHECK(weight);
  CHECK(cases.size() > 300);
}

TEST_CASE("no GEMM is measured twice") {
  for (const auto& cases : {catalogue_gemms(), sweep_gemms()}) {
    std::set<std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, Pass>> seen;
    for (const GemmCase& one : cases) {
      CHECK(seen.insert({one.work.m, one.work.n, one.work.k, one.work.batch, one.pass}).second);
    }
  }
}

TEST_CASE("no catalogue GEMM is so large that its operands fill a GPU") {
  // 8,192 tokens of a head with 256,000 words are 4.2 GB of logits in 16 bits.
  for (const GemmCase& one : catalogue_gemms()) {
    const Gemm& work = one.work;
    const auto batch = static_cast<double>(work.batch);
    const double elements = batch * static_cast<double>(work.m) * static_cast<double>(work.k) +
                            batch * static_cast<double>(work.k) * static_cast<double>(work.n) +
                            batch * static_cast<double>(work.m) * static_cast<double>(work.n);
    CAPTURE(one.origin);
    CHECK(2.0 * elements < 20e9);
  }
}

TEST_CASE("an empty catalogue is an error and no list of nothing") {
  const auto nowhere = std::filesystem::temp_directory_path() / "trainyard_without_catalogues";
  std::filesystem::create_directories(nowhere);
  const char* const before = std::getenv("TRAINYARD_HOME");
  const std::string kept = before != nullptr ? before : "";
  ::setenv("TRAINYARD_HOME", nowhere.c_str(), 1);
  CHECK_THROWS_WITH_AS(catalogue_gemms(), doctest::Contains("TRAINYARD_HOME"), UserError);
  CHECK_THROWS_AS(quick_gemms(), UserError);
  if (before != nullptr) {
    ::setenv("TRAINYARD_HOME", kept.c_str(), 1);
  } else {
    ::unsetenv("TRAINYARD_HOME");
  }
}

TEST_CASE("the quick list is ten layer GEMMs in bf16, fp8 and fp8 with fast accumulation") {
  const std::vector<MeasuredGemm> quick = quick_gemms();
  REQUIRE(quick.size() == 30);
  // Llama-3-8B: 8,192 tokens, hidden 4096; gate and up are 2 * 14336 = 28672 wide together.
  CHECK(quick[0].gemm.work.m == 8192);
  CHECK(quick[0].gemm.work.n == 28672);
  CHECK(quick[0].gemm.work.k == 4096);
  for (const MeasuredGemm& one : quick) {
    CAPTURE(one.gemm.origin);
    CHECK(is_legal(one.gemm, one.format));
    CHECK(one.gemm.work.flops().value > 1e11);  // far above what a launch costs
  }
  CHECK(quick[9].format.precision == Precision::kBf16);
  CHECK_FALSE(quick[10].format.fast_accumulation);
  CHECK(quick[20].format.fast_accumulation);
}

TEST_CASE("fp8 keeps gradients as e5m2, lies along k in every pass and takes multiples of 16 alone") {
  const GemmFormat fp8{.precision = Precision::kFp8};
  const GemmFormat added{.precision = Precision::kFp8, .accumulates = true};
  CHECK(operand_formats(fp8, Pass::kForward).left == "fp8_e4m3");
  CHECK(operand_formats(fp8, Pass::kDgrad).left == "fp8_e5m2");
  CHECK(operand_formats(fp8, Pass::kDgrad).right == "fp8_e4m3");
  CHECK(operand_formats(added, Pass::kWgrad).result == "fp32");
  CHECK(layout_of(fp8, Pass::kWgrad) == "TN");
  CHECK(is_legal({.work = {.m = 64, .n = 64, .k = 128}}, fp8));
  CHECK_FALSE(is_legal({.work = {.m = 64, .n = 64, .k = 8184}}, fp8));  // 8184 = 511 * 16 + 8
  const GemmFormat bf16{.precision = Precision::kBf16};
  CHECK(is_legal({.work = {.m = 64, .n = 64, .k = 8184}}, bf16));        // rows of 16368 bytes, 1023 packs
  CHECK_FALSE(is_legal({.work = {.m = 64, .n = 64, .k = 8188}}, bf16));  // rows of 16376 bytes
}

TEST_CASE("classes measure nothing twice and fall in value") {
  const auto classes = gemm_classes(catalogue_gemms(), sweep_gemms(), {});
  std::set<std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::string_view, std::string_view,
                      std::string_view, std::string_view, bool>>
      seen;
  for (const std::vector<MeasuredGemm>& members : classes) {
    for (const MeasuredGemm& one : members) {
      const OperandFormats formats = operand_formats(one.format, one.gemm.pass);
      const Gemm& work = one.gemm.work;
      CHECK(is_legal(one.gemm, one.format));
      CHECK(seen.insert({work.m, work.n, work.k, work.batch, layout_of(one.format, one.gemm.pass), formats.left,
                         formats.right, formats.result, one.format.fast_accumulation})
                .second);
    }
  }
  CHECK(classes.front().front().format.precision == Precision::kBf16);
  const auto chosen = gemm_classes(catalogue_gemms(), {}, {Precision::kFp8});
  CHECK(chosen.front().empty());
  CHECK(chosen[1].size() > 300);
}

TEST_CASE("the sweep spans launch-bound to a tenth of a second") {
  const std::vector<GemmCase> cases = sweep_gemms();
  const auto [smallest, largest] = std::minmax_element(
      cases.begin(), cases.end(), [](const auto& a, const auto& b) { return a.work.flops() < b.work.flops(); });
  CHECK(smallest->work.flops().value < 1e7);  // 2 * 64 * 256 * 128 = 4.2e6
  CHECK(largest->work.flops().value > 8e12);  // 2 * 16384^3 = 8.8e12
}

TEST_CASE("each pass has the layout whose operands autograd leaves in memory") {
  CHECK(blas_layout(Pass::kForward) == "TN");
  CHECK(blas_layout(Pass::kDgrad) == "NN");
  CHECK(blas_layout(Pass::kWgrad) == "NT");
}

}  // namespace
}  // namespace trainyard::test_gemm_cases
