#include "validation/microbench/cuda/device_trace.cuh"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace trainyard::microbench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kInterval{20};
constexpr double kEnergyWindow = 0.5;  // the counter moves every tenth of a second or so

// Source: NVIDIA's NVML API reference, nvmlClocksEventReasons. Idle (1) says nothing of a running kernel.
constexpr std::array<std::pair<std::uint64_t, std::string_view>, 8> kReasons = {{{0x2, "application_clocks"},
                                                                                 {0x4, "software_power_cap"},
                                                                                 {0x8, "hardware_slowdown"},
                                                                                 {0x10, "sync_boost"},
                                                                                 {0x20, "software_thermal"},
                                                                                 {0x40, "hardware_thermal"},
                                                                                 {0x80, "power_brake"},
                                                                                 {0x100, "display_clocks"}}};

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

DeviceSampler::DeviceSampler(const DeviceMonitor& monitor)
    : monitor_(monitor), start_(Clock::now()), thread_([this] { run(); }) {}

DeviceSampler::~DeviceSampler() {
  stop_ = true;
  thread_.join();
}

void DeviceSampler::run() {
  while (!stop_) {
    const Sample sample{since(start_), monitor_.sample()};
    {
      const std::lock_guard lock(mutex_);
      samples_.push_back(sample);
    }
    std::this_thread::sleep_for(kInterval);
  }
}

Json DeviceSampler::summary(double from) const {
  const std::lock_guard lock(mutex_);
  std::vector<Sample> window;
  std::copy_if(samples_.begin(), samples_.end(), std::back_inserter(window),
               [from](const Sample& sample) { return sample.seconds >= from; });
  Json out = {{"samples", window.size()}};
  if (window.empty()) {
    return out;
  }
  const auto count = static_cast<double>(window.size());
  double clock = 0.0;
  double lowest = window.front().state.sm_clock_hz;
  double hottest = 0.0;
  std::uint64_t reasons = 0;
  Json throttle = Json::object();
  for (const Sample& sample : window) {
    clock += sample.state.sm_clock_hz / count;
    lowest = std::min(lowest, sample.state.sm_clock_hz);
    hottest = std::max(hottest, sample.state.temperature_c);
    reasons |= sample.state.throttle_reasons;
  }
  for (const auto& [bit, name] : kReasons) {
    const auto seen = std::count_if(window.begin(), window.end(), [mask = bit](const Sample& sample) {
      return (sample.state.throttle_reasons & mask) != 0;
    });
    if (seen > 0) {
      throttle[std::string(name)] = static_cast<double>(seen) / count;
    }
  }
  if (clock > 0.0) {
    out["sm_clock_hz"] = clock;
    out["sm_clock_low_hz"] = lowest;
    out["throttle_reasons"] = fmt::format("{:#x}", reasons);
    out["throttle"] = std::move(throttle);
  }
  if (hottest > 0.0) {
    out["temperature_c"] = hottest;
  }
  const double seconds = window.back().seconds - window.front().seconds;
  const double joules = window.back().state.energy_j - window.front().state.energy_j;
  if (seconds >= kEnergyWindow && joules > 0.0) {
    out["power_w"] = joules / seconds;
  }
  return out;
}

}  // namespace trainyard::microbench
