#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "kernels/calibration.hpp"
#include "kernels/grouped_gemm_model.hpp"
#include "kernels/grouped_kernel.hpp"

using namespace trainyard;

namespace test_grouped_gemm_model {

namespace {

Seconds price(const GroupedGemm& work, GroupedKernel kernel, const char* gpu_name = "h100-sxm") {
  const GpuSpec gpu = load_gpu(gpu_name);
  return grouped_gemm_time(work, kernel, gpu, calibration_for(gpu).gemm_for(work.precision), 1.0);
}

}  // namespace

TEST_CASE("one group in one kernel is a GEMM that does not split its depth, and without tokens there is no kernel") {
  const GpuSpec gpu = load_gpu("h100-sxm");
  const GemmParameters parameters = calibration_for(gpu).gemm_for(Precision::kBf16);
  const Gemm dense{.m = 4096, .n = 14336, .k = 4096};
  const GroupedGemm grouped{.tokens = {4096}, .n = 14336, .k = 4096};
  CHECK(price(grouped, GroupedKernel::kOneKernel).value ==
        doctest::Approx(gemm_time(dense, gpu, parameters, 1.0).value).epsilon(1e-12));
  CHECK(price({.tokens = {0, 0}, .n = 14336, .k = 4096}, GroupedKernel::kOneKernel) == Seconds{});
  CHECK(price({.tokens = {}, .n = 14336, .k = 4096}, GroupedKernel::kManyStreams) == Seconds{});
}

TEST_CASE("streams never beat one kernel, and come close to it when every group is large") {
  CHECK(rc::check([] {
    GroupedGemm work{.n = 128 * *rc::gen::inRange<std::int64_t>(1, 60),
                     .k = 64 * *rc::gen::inRange<std::int64_t>(1, 120)};
    const auto groups = *rc::gen::inRange<std::size_t>(1, 65);
    work.tokens.assign(groups, *rc::gen::inRange<std::int64_t>(1, 3000));
    work.by = *rc::gen::element(GroupedBy::kRows, GroupedBy::kDepth);
    const Seconds one = price(work, GroupedKernel::kOneKernel);
    const Seconds streams = price(work, GroupedKernel::kManyStreams);
    RC_ASSERT(streams.value >= one.value * (1.0 - 1e-9));
    // No faster than the launches of the groups.
    RC_ASSERT(streams.value >= 9.25e-6 * static_cast<double>(groups) * (1.0 - 1e-9));
  }));
  const GroupedGemm large{.tokens = std::vector<std::int64_t>(8, 16384), .n = 28672, .k = 4096};
  CHECK(price(large, GroupedKernel::kManyStreams) / price(large, GroupedKernel::kOneKernel) < 1.05);
}

TEST_CASE("uneven groups cost more tiles than even ones of as many tokens") {
  // 32 groups of 128 rows fill 32 row tiles; 31 groups of one row and one of the rest fill 31 more.
  const GroupedGemm even{.tokens = std::vector<std::int64_t>(32, 128), .n = 4096, .k = 7168};
  GroupedGemm uneven{.tokens = std::vector<std::int64_t>(32, 1), .n = 4096, .k = 7168};
  uneven.tokens.back() = 32 * 128 - 31;
  CHECK(even.total_tokens() == uneven.total_tokens());
  CHECK(price(uneven, GroupedKernel::kOneKernel) > price(even, GroupedKernel::kOneKernel));
}

TEST_CASE("a grouped GEMM grows with its tokens, rows or depth") {
  for (const GroupedBy by : {GroupedBy::kRows, GroupedBy::kDepth}) {
    for (const GroupedKernel kernel : {GroupedKernel::kOneKernel, GroupedKernel::kManyStreams}) {
      Seconds last{};
      for (const std::int64_t tokens : {64, 256, 1024, 4096, 16384}) {
        const Seconds time =
            price({.tokens = std::vector<std::int64_t>(16, tokens), .n = 4096, .k = 7168, .by = by}, kernel);
        CHECK(time >= last);
        last = time;
      }
    }
  }
}

}  // namespace test_grouped_gemm_model
