// Two things at once: a matrix multiplication beside a copy of few blocks, as a collective's, and beside copies of the
// copy engines.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cmath>
#include <memory>

#include "validation/microbench/cuda/kernels.cuh"
#include "validation/microbench/cuda/overlap_load.cuh"

namespace trainyard::microbench {
namespace {

constexpr std::size_t kCopyBytes = std::size_t{256} << 20U;
constexpr std::array<int, 3> kBlocks = {8, 16, 32};
constexpr double kPersistentSeconds = 0.05;  // of one launch

// Blocks that copy round after round without coming to an end for a twentieth of a second, in an urgent stream, as
// NCCL's channels do.
struct PersistentCopy {
  explicit PersistentCopy(int blocks) : from(kCopyBytes), to(kCopyBytes) {
    TRAINYARD_CHECK(cudaMemset(from.data(), 1, kCopyBytes));
    const auto launch = [this, blocks](int rounds) {
      copy_with_blocks(from.data(), to.data(), kCopyBytes, blocks, rounds, stream.get());
    };
    launch(1);
    const Event begin;
    const Event end;
    begin.record(stream.get());
    launch(1);
    end.record(stream.get());
    end.wait();
    const int rounds = std::max(1, static_cast<int>(std::ceil(kPersistentSeconds / seconds_between(begin, end))));
    load = {fmt::format("copy of {} blocks", blocks), stream.get(), [launch, rounds] { launch(rounds); },
            2.0 * static_cast<double>(kCopyBytes) * rounds};
  }
  Stream stream{Urgency::kUrgent};
  DeviceArray<unsigned char> from;
  DeviceArray<unsigned char> to;
  Load load;
};

// Pinned host memory that frees itself.
struct PinnedMemory {
  explicit PinnedMemory(std::size_t bytes) { TRAINYARD_CHECK(cudaMallocHost(&data, bytes)); }
  ~PinnedMemory() { cudaFreeHost(data); }
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;
  void* data = nullptr;
};

void run(Part& part) {
  const GemmLoads gemms;
  part.run_in_order(kBlocks.size() * gemms.size(), [&](std::size_t i) {
    const int blocks = kBlocks[i % kBlocks.size()];
    const PersistentCopy other(blocks);
    measure_overlap(part, gemms[i / kBlocks.size()], other.load, {{"blocks", blocks}});
  });
  const PinnedMemory host(kCopyBytes);
  const DeviceArray<unsigned char> device(kCopyBytes);
  const auto bytes = static_cast<double>(kCopyBytes);
  const GraphLoad in(
      "host_to_device 256 MiB",
      [&](cudaStream_t s, int) {
        TRAINYARD_CHECK(cudaMemcpyAsync(device.data(), host.data, kCopyBytes, cudaMemcpyHostToDevice, s));
      },
      bytes);
  const GraphLoad out(
      "device_to_host 256 MiB",
      [&](cudaStream_t s, int) {
        TRAINYARD_CHECK(cudaMemcpyAsync(host.data, device.data(), kCopyBytes, cudaMemcpyDeviceToHost, s));
      },
      bytes);
  const std::array<const GraphLoad*, 2> engines = {&in, &out};
  part.run_in_order(engines.size() * gemms.size(), [&](std::size_t i) {
    measure_overlap(part, gemms[i / engines.size()], engines[i % engines.size()]->load, {{"blocks", 0}});
  });
}

}  // namespace
}  // namespace trainyard::microbench

int main(int argc, char** argv) {
  using namespace trainyard::microbench;
  return run_part(
      argc, argv, "overlap", {.cublaslt = fmt::format("{}", cublasLtGetVersion())}, [](CLI::App&) {}, run);
}
