#include "kernels/gemm_model.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace trainyard {
namespace {

// Tile shapes of cuBLAS kernels. Source: NVIDIA, "Matrix Multiplication Background User's Guide", section 4.1. Adding
// smaller, larger or three-quarter tiles made the fits to published GEMM tables worse on A100, H100 and B200.
constexpr std::array<GemmTile, 8> kTiles = {
    {{256, 128}, {128, 256}, {128, 128}, {256, 64}, {64, 256}, {128, 64}, {64, 128}, {64, 64}}};
// Kernels that multiply on the ordinary cores also have narrow tiles. Source: CUTLASS, SIMT GEMM configurations.
constexpr std::array<GemmTile, 4> kNarrowTiles = {{{128, 32}, {32, 128}, {64, 32}, {32, 64}}};
constexpr std::array<std::int64_t, 9> kSplits = {1, 2, 3, 4, 6, 8, 12, 16, 32};

constexpr std::array<ParameterField<GemmParameters>, 9> kGemmFields = {{
    {"fixed_time", nullptr, &GemmParameters::fixed_time, 0.5e-6, 40e-6, 3e-6},
    {"tensor_efficiency", &GemmParameters::tensor_efficiency, nullptr, 0.05, 1.0, 0.95},
    {"operand_load", &GemmParameters::operand_load, nullptr, 0.0, 0.1, 0.004},
    {"fill_depth", &GemmParameters::fill_depth, nullptr, 0.0, 800.0, 120.0},
    {"memory_efficiency", &GemmParameters::memory_efficiency, nullptr, 0.2, 1.0, 0.8},
    {"power_ceiling", &GemmParameters::power_ceiling, nullptr, 0.05, 1.0, 0.85},
    {"split_time", nullptr, &GemmParameters::split_time, 0.0, 20e-6, 2e-6},
    {"split_traffic", &GemmParameters::split_traffic, nullptr, 0.0, 4.0, 0.5},
    {"overlap", &GemmParameters::overlap, nullptr, 1.0, 8.0, 3.0},
}};

std::int64_t ceil_divide(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

bool is_empty(const Gemm& work) {
  return work.m <= 0 || work.n <= 0 || work.k <= 0 || work.batch <= 0;
}

// (a^p + b^p)^(1/p) without overflow.
double joined(double a, double b, double exponent) {
  const double larger = std::max(a, b);
  return larger > 0.0 ? larger * std::pow(1.0 + std::pow(std::min(a, b) / larger, exponent), 1.0 / exponent) : 0.0;
}

}  // namespace

std::span<const ParameterField<GemmParameters>> gemm_parameter_fields() {
  return kGemmFields;
}

std::vector<GemmTile> gemm_tiles(Precision precision) {
  std::vector<GemmTile> tiles(kTiles.begin(), kTiles.end());
  if (precision == Precision::kFp32) {
    tiles.insert(tiles.end(), kNarrowTiles.begin(), kNarrowTiles.end());
  }
  return tiles;
}

std::vector<GemmPlan> gemm_plans(const Gemm& work, int multiprocessors) {
  std::vector<GemmPlan> plans;
  if (is_empty(work)) {
    return plans;
  }
  for (const GemmTile& tile : gemm_tiles(work.precision)) {
    const std::int64_t tiles = ceil_divide(work.m, tile.m) * ceil_divide(work.n, tile.n) * work.batch;
    for (const std::int64_t splits : kSplits) {
      plans.push_back({.tile_area = static_cast<double>(tile.m * tile.n),
                       .tile_border = static_cast<double>(tile.m + tile.n),
                       .blocks = static_cast<double>(tiles * splits),
                       .waves = static_cast<double>(ceil_divide(tiles * splits, multiprocessors)),
                       .depth = static_cast<double>(ceil_divide(work.k, splits)),
                       .splits = static_cast<double>(splits)});
    }
  }
  return plans;
}

// Tile and wave quantization: a kernel runs ceil(tiles / SMs) rounds, each as long as one tile takes on one SM. Source:
// NVIDIA, "Matrix Multiplication Background User's Guide", sections 4.2 and 4.3. What this leaves out: kernels chosen
// badly, operands whose rows are not aligned to 16 bytes (slower than predicted), and libraries' hand-tuned shapes.
Seconds gemm_time(const Gemm& work, std::span<const GemmPlan> plans, const GpuSpec& gpu, FlopsPerSecond peak,
                  const GemmParameters& parameters, double clock_ratio, const GpuShare& share) {
  if (is_empty(work)) {
    return {};
  }
  const double operand_bytes = bytes_per_element(work.precision).value;
  const double output_bytes = std::max(operand_bytes, 2.0);  // fp8 and fp4 operands give 16-bit results
  const double m = static_cast<double>(work.m);
  const double n = static_cast<double>(work.n);
  const double k = static_cast<double>(work.k);
  const double batch = static_cast<double>(work.batch);
  const BytesPerSecond bandwidth = gpu.memory_bandwidth * (parameters.memory_efficiency * share.memory);

  const double seconds_per_element =
      2.0 / (peak.value / gpu.multiprocessors * parameters.tensor_efficiency * clock_ratio);
  const double seconds_per_border = operand_bytes * parameters.operand_load / gpu.boost_clock.value;
  // Partial sums are fp32, written and read once.
  const double partial_sums = 8.0 * m * n * batch * parameters.split_traffic / bandwidth.value;
  const auto time_of = [&](const GemmPlan& plan, double waves) {
    const double per_depth = plan.tile_area * seconds_per_element + plan.tile_border * seconds_per_border;
    const double split = plan.splits > 1.0 ? parameters.split_time.value + plan.splits * partial_sums : 0.0;
    return waves * (plan.depth + parameters.fill_depth) * per_depth + split;
  };
  double fastest = std::numeric_limits<double>::infinity();
  const GemmPlan* chosen = nullptr;
  for (const GemmPlan& plan : plans) {
    if (const double time = time_of(plan, plan.waves); time < fastest) {
      fastest = time;
      chosen = &plan;
    }
  }
  if (share.multiprocessors_held > 0 && chosen != nullptr) {
    const double left = std::max(1, gpu.multiprocessors - share.multiprocessors_held);
    fastest = time_of(*chosen, std::ceil(chosen->blocks / left));
  }
  const Seconds power_limited = work.flops() / (peak * (parameters.power_ceiling * clock_ratio));
  const Seconds compute = max(Seconds{fastest}, power_limited);
  const Bytes traffic = Bytes{batch * (operand_bytes * (m * k + k * n) + output_bytes * m * n)} + work.extra_traffic;
  return parameters.fixed_time + Seconds{joined(compute.value, (traffic / bandwidth).value, parameters.overlap)};
}

Seconds gemm_time(const Gemm& work, const GpuSpec& gpu, const GemmParameters& parameters, double clock_ratio,
                  const GpuShare& share) {
  return gemm_time(work, gemm_plans(work, gpu.multiprocessors), gpu, gpu.peak_for(work.precision), parameters,
                   clock_ratio, share);
}

}  // namespace trainyard
