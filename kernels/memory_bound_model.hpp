#pragma once
// Kernels that only move data: element-wise operations, normalisation, optimizer steps, copies.
#include <span>

#include "kernels/gpu.hpp"
#include "kernels/parameters.hpp"
#include "sim/base/work.hpp"

namespace trainyard {

// What one GPU reaches with one kind of kernel.
struct MemoryBoundParameters {
  Seconds fixed_time{};            // start and end of the kernel on the device
  double memory_efficiency = 0.0;  // of the nominal bandwidth, for tensors far larger than the L2 cache
  double cache_efficiency = 0.0;   // of the nominal bandwidth, for tensors that the L2 cache still holds
  double cached_share = 0.0;       // traffic as a share of the L2 cache's size up to which everything hits
  double eviction_share = 0.0;     // further traffic, as a share of the cache's size, over which hits fall to none
};

std::span<const ParameterField<MemoryBoundParameters>> memory_bound_parameter_fields();

// Device time of one kernel. Zero when nothing moves. Assumes that inputs were written by the kernel just before, so
// that small ones are still in the cache.
Seconds memory_bound_time(const MemoryBound& work, const GpuSpec& gpu, const MemoryBoundParameters& parameters,
                          const GpuShare& share = {});

}  // namespace trainyard
