#include "kernels/grouped_gemm_model.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/grouped_kernel.hpp"

namespace trainyard {
namespace {

// Streams that libraries of separate GEMMs deal the groups to. Source: Transformer Engine, cpp_extensions/gemm.py, the
// count of cuBLAS streams.
constexpr double kExpertStreams = 4.0;

// Time between two launches of one group's GEMM. Fit: 78 expert GEMMs of validation/published/kernels/
// grouped_gemm_simumax.csv (A100, B200), least mean absolute logarithm of predicted over measured; 9.0 to 10.75 us in
// five folds, which predict the rows left out with a median error of 11 %. The price of one kernel for all groups,
// right for DeepGEMM's, is 20 to 44 % below those rows.
constexpr Seconds kIssueInterval{9.25e-6};

// The GEMM of one group of `tokens`.
Gemm of_group(const GroupedGemm& work, std::int64_t tokens) {
  const bool by_rows = work.by == GroupedBy::kRows;
  return {.m = by_rows ? tokens : work.n,
          .n = by_rows ? work.n : work.k,
          .k = by_rows ? work.k : tokens,
          .precision = work.precision};
}

// Plans of all groups in one kernel. By rows: tiles of one group are not shared with another, and all have one depth.
// By depth: every group has the same tiles, and SMs that are through with a shallow one take the next, so waves count
// by the mean depth.
std::vector<GemmPlan> together(const GroupedGemm& work, std::int64_t groups, int multiprocessors) {
  if (work.by == GroupedBy::kDepth) {
    Gemm all = of_group(work, (work.total_tokens() + groups - 1) / groups);
    all.batch = groups;
    return gemm_plans(all, multiprocessors);
  }
  std::vector<GemmPlan> plans;
  for (const GemmTile& tile : gemm_tiles(work.precision)) {
    std::int64_t tiles = 0;
    for (const std::int64_t tokens : work.tokens) {
      tiles += ((tokens + tile.m - 1) / tile.m) * ((work.n + tile.n - 1) / tile.n);
    }
    const std::int64_t waves = (tiles + multiprocessors - 1) / multiprocessors;
    plans.push_back({.tile_area = static_cast<double>(tile.m * tile.n),
                     .tile_border = static_cast<double>(tile.m + tile.n),
                     .blocks = static_cast<double>(tiles),
                     .waves = static_cast<double>(waves),
                     .depth = static_cast<double>(work.k),
                     .splits = 1.0});
  }
  return plans;
}

// One kernel: as a batch whose operands and results are those of the groups.
Seconds one_kernel_time(const GroupedGemm& work, std::int64_t groups, const GpuSpec& gpu,
                        const GemmParameters& parameters, double clock_ratio, const GpuShare& share) {
  // Traffic of the mean group, `groups` times, is that of all: it is linear in the tokens.
  Gemm all = of_group(work, 1);
  const double mean = static_cast<double>(work.total_tokens()) / static_cast<double>(groups);
  all.batch = groups;
  (work.by == GroupedBy::kRows ? all.m : all.k) = static_cast<std::int64_t>(std::ceil(mean));
  all.extra_traffic = work.extra_traffic;
  return gemm_time(all, together(work, groups, gpu.multiprocessors), gpu, gpu.peak_for(work.precision), parameters,
                   clock_ratio, share);
}

}  // namespace

Seconds grouped_gemm_time(const GroupedGemm& work, GroupedKernel kernel, const GpuSpec& gpu,
                          const GemmParameters& parameters, double clock_ratio, const GpuShare& share) {
  const auto groups = static_cast<std::int64_t>(
      std::count_if(work.tokens.begin(), work.tokens.end(), [](std::int64_t tokens) { return tokens > 0; }));
  if (groups == 0 || work.n <= 0 || work.k <= 0) {
    return {};
  }
  const Seconds one_kernel = one_kernel_time(work, groups, gpu, parameters, clock_ratio, share);
  if (kernel == GroupedKernel::kOneKernel) {
    return one_kernel;
  }
  // Streams: a group's GEMM takes as long as alone, less what it gains where others run beside it. Others do as far as
  // the next launch comes before the GEMM is through; and there is no going faster than the launches.
  const Seconds shared = one_kernel / static_cast<double>(groups);
  Seconds total{};
  for (const std::int64_t tokens : work.tokens) {
    if (tokens <= 0) {
      continue;
    }
    Gemm alone = of_group(work, tokens);
    alone.extra_traffic = work.extra_traffic / static_cast<double>(groups);
    const Seconds time = gemm_time(alone, gpu, parameters, clock_ratio, share);
    const Seconds with_others =
        shared * (static_cast<double>(tokens * groups) / static_cast<double>(work.total_tokens()));
    const double beside = std::clamp(time / kIssueInterval, 1.0, kExpertStreams);
    total += max(kIssueInterval, with_others + max(Seconds{}, time - with_others) / beside);
  }
  return total;
}

}  // namespace trainyard
