#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <vector>

#include "sim/program/program.hpp"

using namespace trainyard;

namespace test_program {

namespace {

struct Kernel {
  double host;
  double device;
};

// Clocks of a host thread and of the stream it issues to.
struct Clocks {
  double host;
  double device;
};

// Kernel by kernel: the host issues, then the device starts the kernel once it is issued and its predecessor is over.
Clocks run_kernels(Clocks clocks, const std::vector<Kernel>& kernels) {
  for (const Kernel& kernel : kernels) {
    clocks.host += kernel.host;
    clocks.device = std::max(clocks.device, clocks.host) + kernel.device;
  }
  return clocks;
}

Clocks run_composed(Clocks clocks, const KernelRun& run) {
  return {clocks.host + run.host.value, std::max(clocks.device + run.device.value, clocks.host + run.critical.value)};
}

KernelRun compose(const std::vector<Kernel>& kernels) {
  KernelRun run;
  for (const Kernel& kernel : kernels) {
    run.append({kernel.host}, {kernel.device});
  }
  return run;
}

// Whole numbers, so that sums are exact and equality means equality.
std::vector<Kernel> any_kernels() {
  std::vector<Kernel> kernels(*rc::gen::inRange<std::size_t>(1, 20));
  for (Kernel& kernel : kernels) {
    kernel.host = *rc::gen::inRange(0, 50);
    kernel.device = *rc::gen::inRange(0, 50);
  }
  return kernels;
}

}  // namespace

TEST_CASE("a run of kernels moves the clocks of host and device exactly as its kernels do one by one") {
  CHECK(rc::check([] {
    const std::vector<Kernel> kernels = any_kernels();
    const Clocks start{static_cast<double>(*rc::gen::inRange(0, 500)), static_cast<double>(*rc::gen::inRange(0, 500))};
    const Clocks exact = run_kernels(start, kernels);
    const Clocks composed = run_composed(start, compose(kernels));
    RC_ASSERT(composed.host == exact.host);
    RC_ASSERT(composed.device == exact.device);
    RC_ASSERT(compose(kernels).kernels == static_cast<std::int32_t>(kernels.size()));
  }));
}

TEST_CASE("a host-bound run ends with its last kernel, a device-bound one with the sum of its kernels") {
  // Three kernels issued in 10 each that run 1 each: the last is issued at 30 and ends at 31.
  const Clocks host_bound = run_composed({0.0, 0.0}, compose({{10.0, 1.0}, {10.0, 1.0}, {10.0, 1.0}}));
  CHECK(host_bound.host == 30.0);
  CHECK(host_bound.device == 31.0);
  // Issued in 1 each, they run 10 each from the first issue on: 1 + 30.
  const Clocks device_bound = run_composed({0.0, 0.0}, compose({{1.0, 10.0}, {1.0, 10.0}, {1.0, 10.0}}));
  CHECK(device_bound.host == 3.0);
  CHECK(device_bound.device == 31.0);
  // A device that is busy until 100 hides the launches.
  CHECK(run_composed({0.0, 100.0}, compose({{10.0, 1.0}, {10.0, 1.0}})).device == 102.0);
}

}  // namespace test_program
