// What surrounds kernels: launches with and without CUDA graphs, the gap between dependent kernels, copies between
// host, device and peers.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <memory>

#include "validation/microbench/cuda/kernels.cuh"
#include "validation/microbench/cuda/part.cuh"
#include "validation/microbench/cuda/timing.cuh"

namespace trainyard::microbench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kLaunches = 500;  // below the depth at which a launch waits for the device
constexpr int kRepeats = 20;
constexpr long long kSpinTicks = 40'000'000;  // some 20 ms, longer than the host needs for kLaunches
constexpr double kSmallestCopy = 4096.0;
constexpr double kLargestCopy = 1073741824.0;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void write_cost(Part& part, const char* what, const std::vector<double>& seconds, int calls = kLaunches) {
  part.out.write({{"record", "launch"}, {"what", what}, {"calls", calls}, {"time_s", spread_json(seconds)}});
}

// The host's time for a launch call while the device is busy, so that nothing but the call is seen.
void measure_launches(Part& part, const Stream& stream) {
  std::vector<double> host;
  std::vector<double> interval;
  const Event begin;
  const Event end;
  empty_kernel(stream.get());
  for (int i = 0; i < kRepeats; ++i) {
    spin(kSpinTicks, stream.get());
    begin.record(stream.get());
    const Clock::time_point start = Clock::now();
    for (int call = 0; call < kLaunches; ++call) {
      empty_kernel(stream.get());
    }
    host.push_back(seconds_since(start) / kLaunches);
    end.record(stream.get());
    end.wait();
    interval.push_back(seconds_between(begin, end) / kLaunches);
  }
  write_cost(part, "host_time_of_a_stream_launch", host);
  write_cost(part, "interval_of_dependent_empty_kernels_in_a_stream", interval);
}

// What a graph of so many empty kernels costs the host to launch and the device to run: each figure is of a node, so
// that `calls` times it is the graph's.
void measure_graph(Part& part, int nodes, const Stream& stream) {
  const Batch graph(stream.get(), nodes, [](cudaStream_t s, int) { empty_kernel(s); });
  graph.time();
  std::vector<double> host;
  std::vector<double> device;
  for (int i = 0; i < kRepeats; ++i) {
    spin(kSpinTicks, stream.get());
    const Clock::time_point start = Clock::now();
    graph.launch();
    host.push_back(seconds_since(start) / nodes);
    stream.wait();
    device.push_back(graph.time());
  }
  write_cost(part, "host_time_of_a_launch_inside_a_graph", host, nodes);
  write_cost(part, "interval_of_dependent_empty_kernels_in_a_graph", device, nodes);
}

struct PinnedMemory {
  explicit PinnedMemory(std::size_t bytes) { TRAINYARD_CHECK(cudaMallocHost(&data, bytes)); }
  ~PinnedMemory() { cudaFreeHost(data); }
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;
  void* data = nullptr;
};

void write_copy(Part& part, std::string direction, double bytes, const Timing& timing, int peer = -1) {
  Json record = {{"record", "copy"}, {"direction", std::move(direction)}, {"bytes", bytes}};
  if (peer >= 0) {
    record["peer"] = peer;
  }
  part.write(std::move(record), timing, "bytes_per_s", bytes);
}

// Copies of one size: pinned host memory both ways, within the device.
void measure_copies(Part& part, double bytes, const Stream& stream) {
  const auto size = static_cast<std::size_t>(bytes);
  const PinnedMemory host(size);
  const DeviceArray<unsigned char> device(size);
  const DeviceArray<unsigned char> other(size);
  struct Way {
    const char* name;
    void* to;
    const void* from;
    cudaMemcpyKind kind;
  };
  for (const Way& way : {Way{"host_to_device", device.data(), host.data, cudaMemcpyHostToDevice},
                         Way{"device_to_host", host.data, device.data(), cudaMemcpyDeviceToHost},
                         Way{"device_to_device", other.data(), device.data(), cudaMemcpyDeviceToDevice}}) {
    const Enqueue enqueue = [&](cudaStream_t s, int) {
      TRAINYARD_CHECK(cudaMemcpyAsync(way.to, way.from, size, way.kind, s));
    };
    write_copy(part, way.name, bytes,
               burst_times(stream.get(), calls_for_batch(stream.get(), enqueue, 5e-3, 200), enqueue, part.monitor));
  }
}

// Pageable host memory: the driver stages it, so nothing can be captured.
void measure_pageable(Part& part, double bytes) {
  const auto size = static_cast<std::size_t>(bytes);
  std::vector<unsigned char> host(size, 1);
  const DeviceArray<unsigned char> device(size);
  Timing timing;
  const DeviceSampler sampler(part.monitor);
  for (int i = 0; i <= kRepeats; ++i) {
    const Clock::time_point start = Clock::now();
    TRAINYARD_CHECK(cudaMemcpy(device.data(), host.data(), size, cudaMemcpyHostToDevice));
    if (i > 0) {
      timing.seconds.push_back(seconds_since(start));
    }
  }
  timing.device = sampler.summary();
  write_copy(part, "pageable_host_to_device", bytes, timing);
}

void measure_peer(Part& part, int peer, double bytes, const Stream& stream) {
  const auto size = static_cast<std::size_t>(bytes);
  const DeviceArray<unsigned char> here(size);
  TRAINYARD_CHECK(cudaSetDevice(peer));
  const DeviceArray<unsigned char> there(size);
  TRAINYARD_CHECK(cudaSetDevice(part.options.device));
  const Enqueue enqueue = [&](cudaStream_t s, int) {
    TRAINYARD_CHECK(cudaMemcpyPeerAsync(there.data(), peer, here.data(), part.options.device, size, s));
  };
  write_copy(part, "peer_to_peer", bytes,
             burst_times(stream.get(), calls_for_batch(stream.get(), enqueue, 5e-3, 200), enqueue, part.monitor), peer);
}

void run(Part& part) {
  const Stream stream;
  constexpr std::array<int, 4> kNodes = {1, 10, 100, kLaunches};
  part.run_in_order(kNodes.size(), [&](std::size_t i) { measure_graph(part, kNodes[i], stream); });
  part.run_in_order(1, [&](std::size_t) { measure_launches(part, stream); });
  if (part.options.quick) {
    return;
  }
  std::vector<double> sizes;
  for (double bytes = kSmallestCopy; bytes <= kLargestCopy; bytes *= 4.0) {
    sizes.push_back(bytes);
  }
  part.run_cases(sizes.size(), [&](std::size_t i) {
    measure_copies(part, sizes[i], stream);
    measure_pageable(part, sizes[i]);
  });
  int devices = 0;
  TRAINYARD_CHECK(cudaGetDeviceCount(&devices));
  for (int peer = 0; peer < devices; ++peer) {
    int reachable = 0;
    if (peer == part.options.device) {
      continue;
    }
    TRAINYARD_CHECK(cudaDeviceCanAccessPeer(&reachable, part.options.device, peer));
    if (reachable != 0) {
      const cudaError_t enabled = cudaDeviceEnablePeerAccess(peer, 0);
      if (enabled != cudaErrorPeerAccessAlreadyEnabled) {
        check(enabled, "cudaDeviceEnablePeerAccess");
      }
    }
    part.run_cases(sizes.size(), [&](std::size_t i) { measure_peer(part, peer, sizes[i], stream); });
  }
}

}  // namespace
}  // namespace trainyard::microbench

int main(int argc, char** argv) {
  using namespace trainyard::microbench;
  return run_part(
      argc, argv, "system", {}, [](CLI::App&) {}, run);
}
