// Memory-bound kernels: each is first checked against a float64 reference, then timed over sizes beside a plain copy,
// whose rate is the yardstick.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "validation/microbench/cuda/kernels.cuh"
#include "validation/microbench/cuda/membound_cases.cuh"
#include "validation/microbench/cuda/part.cuh"
#include "validation/microbench/cuda/timing.cuh"

namespace trainyard::microbench {
namespace {

constexpr double kCheckBytes = 4e6;
constexpr double kSmallest = 262144.0;
constexpr double kLargest = 4294967296.0;
constexpr double kStep = 4.0;
constexpr double kLarge = 536870912.0;  // from here a kernel should reach kBar of the copy's rate
constexpr double kBar = 0.85;

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// Bytes per second, read plus written, of the best of two copies: our kernel and the runtime's.
double measure_copy(Part& part, double bytes, const Stream& stream) {
  const auto half = static_cast<std::size_t>(bytes / 2.0) / 16 * 16;
  const DeviceArray<unsigned char> from(half);
  const DeviceArray<unsigned char> to(half);
  TRAINYARD_CHECK(cudaMemsetAsync(from.data(), 1, half, stream.get()));
  double best = 0.0;
  const Enqueue ours = [&](cudaStream_t s, int) { copy(from.data(), to.data(), half, s); };
  const Enqueue runtimes = [&](cudaStream_t s, int) {
    TRAINYARD_CHECK(cudaMemcpyAsync(to.data(), from.data(), half, cudaMemcpyDeviceToDevice, s));
  };
  for (const auto& [name, enqueue] : {std::pair{"copy", ours}, std::pair{"copy_runtime", runtimes}}) {
    const std::vector<double> seconds = burst_times(stream.get(), calls_for_batch(stream.get(), enqueue), enqueue);
    const double rate = 2.0 * static_cast<double>(half) / median(seconds);
    best = std::max(best, rate);
    part.write({{"record", "membound"},
                {"kernel", name},
                {"kind", "elementwise"},
                {"dtype", "bytes"},
                {"shape", fmt::format("{} bytes", half)},
                {"traffic_bytes", 2.0 * static_cast<double>(half)},
                {"time_s", spread_json(seconds)},
                {"bytes_per_s", rate}});
  }
  return best;
}

void check_kernel(Part& part, const KernelCase& one) {
  const double error = one.make(kCheckBytes).error();
  const bool right = error <= one.tolerance;
  part.out.write({{"record", "membound_check"},
                  {"kernel", one.name},
                  {"largest_error", error},
                  {"tolerance", one.tolerance},
                  {"right", right}});
  if (!right) {
    ++part.failed;
    fmt::print(stderr, "{} is wrong: error {:.3g}, allowed {:.3g}\n", one.name, error, one.tolerance);
  }
}

void measure(Part& part, const KernelCase& one, double bytes, double copy_rate, const Stream& stream) {
  const KernelRun run = one.make(bytes);
  const Enqueue enqueue = [&](cudaStream_t s, int) { run.launch(s); };
  const std::vector<double> seconds = burst_times(stream.get(), calls_for_batch(stream.get(), enqueue), enqueue);
  const double rate = run.traffic_bytes / median(seconds);
  part.write({{"record", "membound"},
              {"kernel", one.name},
              {"kind", one.kind == SweepKind::kReduction ? "reduction" : "elementwise"},
              {"dtype", "bf16"},
              {"shape", run.shape},
              {"traffic_bytes", run.traffic_bytes},
              {"time_s", spread_json(seconds)},
              {"bytes_per_s", rate},
              {"share_of_copy", rate / copy_rate}});
  if (run.traffic_bytes >= kLarge && rate < kBar * copy_rate) {
    fmt::print(stderr, "{} of {}: {:.0f} % of the copy's rate, below {:.0f} %\n", one.name, run.shape,
               100.0 * rate / copy_rate, 100.0 * kBar);
  }
}

void run(Part& part) {
  const Stream stream;
  std::vector<KernelCase> kernels = row_cases();
  for (const auto& more : {element_cases(), state_cases()}) {
    kernels.insert(kernels.end(), more.begin(), more.end());
  }
  for (const KernelCase& one : kernels) {
    check_kernel(part, one);
  }
  std::vector<std::pair<double, double>> sizes;  // bytes, the copy's rate at that size
  for (double bytes = kSmallest; bytes <= kLargest; bytes *= kStep) {
    sizes.emplace_back(bytes, measure_copy(part, bytes, stream));
  }
  part.run_cases(kernels.size() * sizes.size(), [&](std::size_t i) {
    const auto& [bytes, copy_rate] = sizes[i % sizes.size()];
    measure(part, kernels[i / sizes.size()], bytes, copy_rate, stream);
  });
}

}  // namespace
}  // namespace trainyard::microbench

int main(int argc, char** argv) {
  using namespace trainyard::microbench;
  return run_part(
      argc, argv, "membound", {}, [](CLI::App&) {}, run);
}
