// Memory-bound kernels: each is first checked against a float64 reference, then timed over sizes beside a plain copy,
// whose rate is the yardstick.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string_view>

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

// Operands reused after so many times the L2 cache's size of other traffic are no longer in it.
constexpr double kColdFactor = 4.0;
constexpr int kMostCopies = 1000;

double median_of(const Timing& timing) {
  return spread_json(timing.seconds)["median"].get<double>();
}

class MemoryPart {
 public:
  explicit MemoryPart(Part& part) : part_(part) {
    cudaDeviceProp properties{};
    TRAINYARD_CHECK(cudaGetDeviceProperties(&properties, part.options.device));
    l2_bytes_ = properties.l2CacheSize;
  }

  // Bytes per second, read plus written, of the best of two copies: our kernel and the runtime's.
  double measure_copy(double bytes) {
    const auto half = static_cast<std::size_t>(bytes / 2.0) / 16 * 16;
    const int copies = copies_for(bytes);
    const DeviceArray<unsigned char> from(half * static_cast<std::size_t>(copies));
    const DeviceArray<unsigned char> to(half * static_cast<std::size_t>(copies));
    TRAINYARD_CHECK(cudaMemsetAsync(from.data(), 1, from.bytes(), stream_.get()));
    const Enqueue ours = [&](cudaStream_t s, int call) {
      copy(from.data() + offset(half, call % copies), to.data() + offset(half, call % copies), half, s);
    };
    const Enqueue runtimes = [&](cudaStream_t s, int call) {
      TRAINYARD_CHECK(cudaMemcpyAsync(to.data() + offset(half, call % copies),
                                      from.data() + offset(half, call % copies), half, cudaMemcpyDeviceToDevice, s));
    };
    double best = 0.0;
    for (const auto& [name, enqueue] : {std::pair{"copy", ours}, std::pair{"copy_runtime", runtimes}}) {
      const Timing timing = time(enqueue, copies);
      const double traffic = 2.0 * static_cast<double>(half);
      best = std::max(best, traffic / median_of(timing));
      part_.write({{"record", "membound"},
                   {"kernel", name},
                   {"kind", "elementwise"},
                   {"dtype", "bytes"},
                   {"shape", fmt::format("{} bytes", half)},
                   {"cache", "cold"},
                   {"traffic_bytes", traffic}},
                  timing, "bytes_per_s", traffic);
    }
    return best;
  }

  void measure(const KernelCase& one, double bytes, double copy_rate) {
    const double traffic = one.make(bytes, 1).traffic_bytes;
    if (traffic > kStep / 2.0 * bytes) {
      return;  // its smallest, which a larger size measures
    }
    const int copies = copies_for(traffic);
    const KernelRun run = one.make(bytes, copies);
    const auto write = [&](const char* cache, const Timing& timing) {
      const double rate = run.traffic_bytes / median_of(timing);
      Json record = {{"record", "membound"},
                     {"kernel", one.name},
                     {"kind", one.kind == SweepKind::kReduction ? "reduction" : "elementwise"},
                     {"dtype", "bf16"},
                     {"shape", run.shape},
                     {"cache", cache},
                     {"traffic_bytes", run.traffic_bytes}};
      if (std::string_view(cache) == "cold") {
        record["share_of_copy"] = rate / copy_rate;
      }
      part_.write(std::move(record), timing, "bytes_per_s", run.traffic_bytes);
      return rate;
    };
    const double cold = write("cold", time([&](cudaStream_t s, int call) { run.launch(s, call % copies); }, copies));
    if (run.traffic_bytes < l2_bytes_) {
      write("warm", time([&](cudaStream_t s, int) { run.launch(s, 0); }, 1));
    }
    if (run.traffic_bytes >= kLarge && cold < kBar * copy_rate) {
      fmt::print(stderr, "{} of {}: {:.0f} % of the copy's rate, below {:.0f} %\n", one.name, run.shape,
                 100.0 * cold / copy_rate, 100.0 * kBar);
    }
  }

 private:
  static std::size_t offset(std::size_t bytes, int copy) { return bytes * static_cast<std::size_t>(copy); }
  int copies_for(double bytes) const {
    return std::clamp(static_cast<int>(std::ceil(kColdFactor * l2_bytes_ / bytes)), 1, kMostCopies);
  }
  Timing time(const Enqueue& enqueue, int copies) {
    return burst_times(stream_.get(), std::max(calls_for_batch(stream_.get(), enqueue), copies), enqueue,
                       part_.monitor);
  }

  Part& part_;
  Stream stream_;
  double l2_bytes_ = 0.0;
};

void run(Part& part) {
  MemoryPart memory(part);
  std::vector<KernelCase> kernels = row_cases();
  for (const auto& more : {element_cases(), state_cases()}) {
    kernels.insert(kernels.end(), more.begin(), more.end());
  }
  part.run_in_order(kernels.size(), [&](std::size_t i) {
    part.write_check("membound_check", std::string(kernels[i].name), kernels[i].make(kCheckBytes, 1).error(),
                     kernels[i].tolerance);
  });
  std::vector<std::pair<double, double>> sizes;  // bytes, the copy's rate at that size
  for (double bytes = kSmallest; bytes <= kLargest; bytes *= kStep) {
    sizes.emplace_back(bytes, 0.0);
  }
  part.run_in_order(sizes.size(), [&](std::size_t i) { sizes[i].second = memory.measure_copy(sizes[i].first); });
  std::erase_if(sizes, [](const auto& size) { return size.second <= 0.0; });
  part.run_cases(kernels.size() * sizes.size(), [&](std::size_t i) {
    const auto& [bytes, copy_rate] = sizes[i % sizes.size()];
    memory.measure(kernels[i / sizes.size()], bytes, copy_rate);
  });
}

}  // namespace
}  // namespace trainyard::microbench

int main(int argc, char** argv) {
  using namespace trainyard::microbench;
  return run_part(
      argc, argv, "membound", {}, [](CLI::App&) {}, run);
}
