#include "validation/microbench/cuda/machine.cuh"

#include <cuda_runtime.h>
#include <dlfcn.h>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>
#include <ctime>

#include "validation/microbench/cuda/check.cuh"

namespace trainyard::microbench {
namespace {

// NVML's types and constants that are used. Source: NVIDIA's NVML API reference, "Device Queries".
using NvmlDevice = void*;
constexpr unsigned kClockSm = 1;
constexpr unsigned kClockMemory = 2;
constexpr unsigned kTemperatureGpu = 0;
constexpr double kMega = 1e6;

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

}  // namespace

struct DeviceMonitor::Library {
  void* handle = nullptr;
  NvmlDevice device = nullptr;

  template <class Function>
  Function* symbol(const char* name) const {
    return handle == nullptr ? nullptr : reinterpret_cast<Function*>(dlsym(handle, name));
  }
  // A number that the device tells through a function (device, unsigned*); zero when it does not.
  double number(const char* name) const {
    unsigned value = 0;
    const auto query = symbol<int(NvmlDevice, unsigned*)>(name);
    return query != nullptr && device != nullptr && query(device, &value) == 0 ? value : 0.0;
  }
  double number(const char* name, unsigned kind) const {
    unsigned value = 0;
    const auto query = symbol<int(NvmlDevice, unsigned, unsigned*)>(name);
    return query != nullptr && device != nullptr && query(device, kind, &value) == 0 ? value : 0.0;
  }
  std::uint64_t wide(const char* name) const {
    unsigned long long value = 0;
    const auto query = symbol<int(NvmlDevice, unsigned long long*)>(name);
    return query != nullptr && device != nullptr && query(device, &value) == 0 ? value : 0;
  }
};

DeviceMonitor::DeviceMonitor(int device) : library_(std::make_unique<Library>()) {
  library_->handle = dlopen("libnvidia-ml.so.1", RTLD_NOW);
  const auto start = library_->symbol<int()>("nvmlInit_v2");
  const auto find = library_->symbol<int(const char*, NvmlDevice*)>("nvmlDeviceGetHandleByPciBusId_v2");
  std::array<char, 32> bus{};
  TRAINYARD_CHECK(cudaDeviceGetPCIBusId(bus.data(), bus.size(), device));
  if (start == nullptr || find == nullptr || start() != 0 || find(bus.data(), &library_->device) != 0) {
    library_->device = nullptr;
  }
}

DeviceMonitor::~DeviceMonitor() {
  if (library_->handle != nullptr) {
    dlclose(library_->handle);
  }
}

DeviceState DeviceMonitor::sample() const {
  // Since driver 535 the reasons are called events; the older name stays.
  std::uint64_t reasons = library_->wide("nvmlDeviceGetCurrentClocksEventReasons");
  if (reasons == 0) {
    reasons = library_->wide("nvmlDeviceGetCurrentClocksThrottleReasons");
  }
  return {.sm_clock_hz = library_->number("nvmlDeviceGetClockInfo", kClockSm) * kMega,
          .temperature_c = library_->number("nvmlDeviceGetTemperature", kTemperatureGpu),
          .energy_j = static_cast<double>(library_->wide("nvmlDeviceGetTotalEnergyConsumption")) / 1e3,
          .throttle_reasons = reasons};
}

std::string DeviceMonitor::driver_version() const {
  std::array<char, 96> text{};
  const auto query = library_->symbol<int(char*, unsigned)>("nvmlSystemGetDriverVersion");
  return query != nullptr && query(text.data(), text.size()) == 0 ? std::string(text.data()) : std::string();
}

double DeviceMonitor::largest_sm_clock_hz() const {
  return library_->number("nvmlDeviceGetMaxClockInfo", kClockSm) * kMega;
}

double DeviceMonitor::memory_clock_hz() const {
  return library_->number("nvmlDeviceGetMaxClockInfo", kClockMemory) * kMega;
}

double DeviceMonitor::power_limit_w() const {
  return library_->number("nvmlDeviceGetEnforcedPowerLimit") / 1e3;
}

Json machine_record(int device, const DeviceMonitor& monitor, const LibraryVersions& versions) {
  cudaDeviceProp properties{};
  int devices = 0;
  int runtime = 0;
  int driver = 0;
  TRAINYARD_CHECK(cudaGetDeviceProperties(&properties, device));
  TRAINYARD_CHECK(cudaGetDeviceCount(&devices));
  TRAINYARD_CHECK(cudaRuntimeGetVersion(&runtime));
  TRAINYARD_CHECK(cudaDriverGetVersion(&driver));
  const DeviceState now = monitor.sample();
  return {{"record", "machine"},
          {"format", 2},
          {"date", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))},
          {"gpu", properties.name},
          {"gpus", devices},
          {"compute_capability", fmt::format("{}.{}", properties.major, properties.minor)},
          {"multiprocessors", properties.multiProcessorCount},
          {"l2_bytes", properties.l2CacheSize},
          {"memory_bytes", properties.totalGlobalMem},
          {"driver", monitor.driver_version()},
          {"cuda_driver", version_text(driver)},
          {"cuda_runtime", version_text(runtime)},
          {"cublaslt", versions.cublaslt},
          {"cudnn", versions.cudnn},
          {"nccl", versions.nccl},
          {"sm_clock_max_hz", monitor.largest_sm_clock_hz()},
          {"memory_clock_max_hz", monitor.memory_clock_hz()},
          {"power_limit_w", monitor.power_limit_w()},
          {"temperature_c", now.temperature_c}};
}

}  // namespace trainyard::microbench
