#pragma once
// Dense matrix multiplication on one GPU: tiles, waves, split k, operand loads, memory traffic and the power limit.
#include <span>
#include <vector>

#include "kernels/gpu.hpp"
#include "kernels/parameters.hpp"
#include "sim/base/work.hpp"

namespace trainyard {

// What one GPU's library reaches with one family of operand formats.
struct GemmParameters {
  Seconds fixed_time{};            // start and end of the kernel on the device
  double tensor_efficiency = 0.0;  // of the peak rate, while a tile multiplies
  double operand_load = 0.0;       // clock cycles one SM needs per byte of operand tile brought in from the L2 cache
  double fill_depth = 0.0;         // rows of k whose time a tile loses to filling its pipeline and writing its result
  double memory_efficiency = 0.0;  // of the nominal memory bandwidth
  double power_ceiling = 0.0;  // of the peak rate: what all SMs together reach before the power limit cuts the clock
  Seconds split_time{};        // what splitting k costs at any size: the second pass that adds partial sums
  double split_traffic = 0.0;  // share of the partial sums' traffic that is not hidden in the L2 cache
  double overlap = 0.0;        // exponent p of (compute^p + memory^p)^(1/p): 1 is no overlap, large is perfect overlap
};

std::span<const ParameterField<GemmParameters>> gemm_parameter_fields();

// Rows and columns of the result that one SM works on at a time, of those that a library could choose.
struct GemmTile {
  std::int64_t m = 0;
  std::int64_t n = 0;
};
std::vector<GemmTile> gemm_tiles(Precision precision);

// One way to run a GEMM that a library could choose.
struct GemmPlan {
  double tile_area = 0.0;    // of C, elements
  double tile_border = 0.0;  // tile rows plus tile columns
  double blocks = 0.0;       // tiles, each part of a split k counted
  double waves = 0.0;        // rounds of one tile per SM
  double depth = 0.0;        // rows of k that one tile multiplies
  double splits = 0.0;       // parts that k is cut into
};
std::vector<GemmPlan> gemm_plans(const Gemm& work, int multiprocessors);

// Device time of one kernel: the fastest of the plans. Zero when there is nothing to multiply.
// `clock_ratio` scales the tensor rate: 1 for short bursts, GpuSpec::sustained_clock_ratio for hours of training.
// On a share of the GPU: the plan is the one chosen for the whole of it, as libraries do not know who else is there.
Seconds gemm_time(const Gemm& work, const GpuSpec& gpu, const GemmParameters& parameters, double clock_ratio,
                  const GpuShare& share = {});
// The same with the plans already made, for fits that price one shape many times.
Seconds gemm_time(const Gemm& work, std::span<const GemmPlan> plans, const GpuSpec& gpu, FlopsPerSecond peak,
                  const GemmParameters& parameters, double clock_ratio, const GpuShare& share = {});

}  // namespace trainyard
