// Two things at once: a matrix multiplication beside a copy or a collective, and how much each is slowed down.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <memory>

#include "validation/microbench/cuda/kernels.cuh"
#include "validation/microbench/cuda/lt_gemm.cuh"
#include "validation/microbench/cuda/nccl_ranks.cuh"
#include "validation/microbench/cuda/part.cuh"
#include "validation/microbench/cuda/timing.cuh"

namespace trainyard::microbench {
namespace {

constexpr double kTimedSeconds = 0.05;
constexpr double kCover = 3.0;  // how much longer the other load runs than the timed one should
constexpr int kRepeats = 7;
constexpr std::size_t kCopyBytes = std::size_t{256} << 20U;
constexpr int kCallsInBatch = 4;

// Something that runs for as long as asked.
struct Load {
  std::string name;
  cudaStream_t stream;
  std::function<void()> enqueue;  // one unit
};

class Event {
 public:
  Event() { TRAINYARD_CHECK(cudaEventCreate(&event_)); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

// Seconds for each unit.
double time_units(const Load& load, int units) {
  const Event begin;
  const Event end;
  TRAINYARD_CHECK(cudaEventRecord(begin.get(), load.stream));
  for (int i = 0; i < units; ++i) {
    load.enqueue();
  }
  TRAINYARD_CHECK(cudaEventRecord(end.get(), load.stream));
  TRAINYARD_CHECK(cudaEventSynchronize(end.get()));
  float milliseconds = 0.0F;
  TRAINYARD_CHECK(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()));
  return static_cast<double>(milliseconds) * 1e-3 / units;
}

int units_for(double seconds, double unit) {
  return std::max(1, static_cast<int>(std::ceil(seconds / unit)));
}

struct Beside {
  std::vector<double> seconds;
  bool covered = true;  // the other load ran to the end of every timing
};

Beside time_beside(const Load& timed, double timed_unit, const Load& other, double other_unit) {
  Beside out;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    const Event other_end;
    for (int i = 0; i < units_for(kCover * kTimedSeconds, other_unit); ++i) {
      other.enqueue();
    }
    TRAINYARD_CHECK(cudaEventRecord(other_end.get(), other.stream));
    out.seconds.push_back(time_units(timed, units_for(kTimedSeconds, timed_unit)));
    out.covered = out.covered && cudaEventQuery(other_end.get()) == cudaErrorNotReady;
    TRAINYARD_CHECK(cudaDeviceSynchronize());
  }
  return out;
}

std::vector<double> time_alone(const Load& load) {
  const double unit = time_units(load, 2);
  std::vector<double> seconds;
  for (int i = 0; i < kRepeats; ++i) {
    seconds.push_back(time_units(load, units_for(kTimedSeconds, unit)));
  }
  return seconds;
}

void measure(Part& part, const Load& gemm, const Load& other) {
  const Json gemm_alone = spread_json(time_alone(gemm));
  const Json other_alone = spread_json(time_alone(other));
  const double gemm_unit = gemm_alone["median"].get<double>();
  const double other_unit = other_alone["median"].get<double>();
  const Beside gemm_beside = time_beside(gemm, gemm_unit, other, other_unit);
  const Beside other_beside = time_beside(other, other_unit, gemm, gemm_unit);
  const Json gemm_time = spread_json(gemm_beside.seconds);
  const Json other_time = spread_json(other_beside.seconds);
  part.write({{"record", "overlap"},
              {"first", gemm.name},
              {"second", other.name},
              {"first_alone_s", gemm_alone},
              {"first_beside_s", gemm_time},
              {"first_slowdown", gemm_time["median"].get<double>() / gemm_unit},
              {"second_alone_s", other_alone},
              {"second_beside_s", other_time},
              {"second_slowdown", other_time["median"].get<double>() / other_unit},
              {"covered", gemm_beside.covered && other_beside.covered}});
}

// A load whose unit is a captured batch.
struct GraphLoad {
  GraphLoad(std::string name, const Enqueue& enqueue)
      : batch(stream.get(), kCallsInBatch, enqueue), load{std::move(name), stream.get(), [this] { batch.launch(); }} {}
  Stream stream;
  Batch batch;
  Load load;
};

void run(Part& part) {
  std::vector<std::unique_ptr<LtGemm>> gemms;
  std::vector<std::unique_ptr<GraphLoad>> gemm_loads;
  const Stream setup;
  for (const std::int64_t extent : {2048, 4096, 8192}) {
    const LtGemmSpec spec{.work = {.m = extent, .n = extent, .k = extent}};
    gemms.push_back(std::make_unique<LtGemm>(spec, 1, setup.get()));
    const LtGemm* gemm = gemms.back().get();
    gemm_loads.push_back(std::make_unique<GraphLoad>(fmt::format("gemm bf16 {}x{}x{}", extent, extent, extent),
                                                     [gemm](cudaStream_t s, int) { gemm->enqueue(0, s); }));
  }
  void* host = nullptr;
  TRAINYARD_CHECK(cudaMallocHost(&host, kCopyBytes));
  const DeviceArray<unsigned char> from(kCopyBytes);
  const DeviceArray<unsigned char> to(kCopyBytes);
  std::vector<std::unique_ptr<GraphLoad>> others;
  others.push_back(std::make_unique<GraphLoad>(
      "copy_kernel 256 MiB", [&](cudaStream_t s, int) { copy(from.data(), to.data(), kCopyBytes, s); }));
  others.push_back(std::make_unique<GraphLoad>("host_to_device 256 MiB", [&](cudaStream_t s, int) {
    TRAINYARD_CHECK(cudaMemcpyAsync(to.data(), host, kCopyBytes, cudaMemcpyHostToDevice, s));
  }));
  others.push_back(std::make_unique<GraphLoad>("device_to_host 256 MiB", [&](cudaStream_t s, int) {
    TRAINYARD_CHECK(cudaMemcpyAsync(host, from.data(), kCopyBytes, cudaMemcpyDeviceToHost, s));
  }));
  part.run_cases(gemm_loads.size() * others.size(), [&](std::size_t i) {
    measure(part, gemm_loads[i % gemm_loads.size()]->load, others[i / gemm_loads.size()]->load);
  });

  int devices = 0;
  TRAINYARD_CHECK(cudaGetDeviceCount(&devices));
  if (devices < 2) {
    part.out.write({{"record", "left_out"},
                    {"what", "gemm beside a collective"},
                    {"why", "there is one GPU, and a collective needs two"}});
  } else {
    NcclRanks ranks(devices, kCopyBytes);
    TRAINYARD_CHECK(cudaSetDevice(part.options.device));
    const NcclType type = *nccl_type("bfloat16");
    for (const CollectiveOp op : {CollectiveOp::kAllReduce, CollectiveOp::kAllGather, CollectiveOp::kReduceScatter}) {
      const Load collective{fmt::format("{} 256 MiB on {} GPUs", kCollectiveOpNames.name_of(op), devices),
                            ranks.first_stream(), [&] { ranks.enqueue(op, kCopyBytes, type, false); }};
      part.run_cases(gemm_loads.size(), [&](std::size_t i) {
        measure(part, gemm_loads[i]->load, collective);
        ranks.wait();
      });
    }
  }
  TRAINYARD_CHECK(cudaFreeHost(host));
}

}  // namespace
}  // namespace trainyard::microbench

int main(int argc, char** argv) {
  using namespace trainyard::microbench;
  int version = 0;
  ncclGetVersion(&version);
  return run_part(
      argc, argv, "overlap", {.cublaslt = fmt::format("{}", cublasLtGetVersion()), .nccl = fmt::format("{}", version)},
      [](CLI::App&) {}, run);
}
