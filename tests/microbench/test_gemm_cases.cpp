#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "validation/microbench/gemm_cases.hpp"

namespace trainyard {
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
}  // namespace trainyard
