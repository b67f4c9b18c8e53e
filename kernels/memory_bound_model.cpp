#include "kernels/memory_bound_model.hpp"

#include <algorithm>
#include <array>

namespace trainyard {
namespace {

constexpr std::array<ParameterField<MemoryBoundParameters>, 5> kMemoryBoundFields = {{
    {"fixed_time", nullptr, &MemoryBoundParameters::fixed_time, 0.5e-6, 30e-6, 3e-6},
    {"memory_efficiency", &MemoryBoundParameters::memory_efficiency, nullptr, 0.05, 1.0, 0.8},
    {"cache_efficiency", &MemoryBoundParameters::cache_efficiency, nullptr, 0.05, 4.0, 1.2},
    {"cached_share", &MemoryBoundParameters::cached_share, nullptr, 0.05, 2.0, 0.6},
    {"eviction_share", &MemoryBoundParameters::eviction_share, nullptr, 0.05, 4.0, 0.5},
}};

}  // namespace

std::span<const ParameterField<MemoryBoundParameters>> memory_bound_parameter_fields() {
  return kMemoryBoundFields;
}

namespace {

Seconds arithmetic_time(const MemoryBound& work, const GpuSpec& gpu, const GpuShare& share) {
  const double there = std::max(1, gpu.multiprocessors - share.multiprocessors_held);
  const double busy = work.multiprocessors > 0 ? std::min(there, static_cast<double>(work.multiprocessors)) : there;
  return Seconds{work.cycles / (busy * gpu.boost_clock.value)};
}

}  // namespace

Seconds memory_bound_time(const MemoryBound& work, const GpuSpec& gpu, const MemoryBoundParameters& parameters,
                          const GpuShare& share) {
  if (!(work.traffic > Bytes{})) {
    return {};
  }
  const double beyond_cache = work.traffic / gpu.l2_cache - parameters.cached_share;
  const double hits = std::clamp(1.0 - beyond_cache / parameters.eviction_share, 0.0, 1.0);
  // The cache may help but never hurt: a fit may place its rate below the memory's.
  const double cached_rate = std::max(parameters.cache_efficiency, parameters.memory_efficiency);
  const Seconds moved =
      work.traffic / (gpu.memory_bandwidth * cached_rate) * hits +
      work.traffic / (gpu.memory_bandwidth * (parameters.memory_efficiency * share.memory)) * (1.0 - hits);
  return parameters.fixed_time + max(moved, arithmetic_time(work, gpu, share));
}

}  // namespace trainyard
