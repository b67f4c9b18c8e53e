#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "kernels/memory_bound_model.hpp"

namespace trainyard::test_memory_bound_model {
namespace {

GpuSpec round_gpu() {
  GpuSpec gpu;
  gpu.memory_bandwidth = {1e12};
  gpu.l2_cache = {1e7};
  return gpu;
}

constexpr MemoryBoundParameters kParameters{.fixed_time = {2e-6},
                                            .memory_efficiency = 0.8,
                                            .cache_efficiency = 1.6,
                                            .cached_share = 0.5,
                                            .eviction_share = 0.5};

TEST_CASE("nothing to move takes no time, a byte the fixed time") {
  CHECK(memory_bound_time({}, round_gpu(), kParameters) == Seconds{});
  CHECK(memory_bound_time({Bytes{1.0}}, round_gpu(), kParameters).value == doctest::Approx(2e-6));
}

TEST_CASE("small traffic runs at the cache's rate, large traffic at the memory's") {
  // 4 MB is below half of the 10 MB cache: 2 us + 4e6 / 1.6e12 s. 1 GB: 2 us + 1e9 / 0.8e12 s.
  CHECK(memory_bound_time({Bytes{4e6}}, round_gpu(), kParameters).value == doctest::Approx(2e-6 + 2.5e-6));
  CHECK(memory_bound_time({Bytes{1e9}}, round_gpu(), kParameters).value == doctest::Approx(2e-6 + 1.25e-3));
}

TEST_CASE("more bytes are never faster and more bandwidth is never slower") {
  CHECK(rc::check([] {
    const double bytes = *rc::gen::inRange(1, 100000000);
    const double more = bytes + *rc::gen::inRange(0, 1000000);
    const Seconds time = memory_bound_time({Bytes{bytes}}, round_gpu(), kParameters);
    RC_ASSERT(memory_bound_time({Bytes{more}}, round_gpu(), kParameters) >= time);
    GpuSpec faster = round_gpu();
    faster.memory_bandwidth *= 1.5;
    RC_ASSERT(memory_bound_time({Bytes{bytes}}, faster, kParameters) <= time);
  }));
}

}  // namespace
}  // namespace trainyard::test_memory_bound_model
