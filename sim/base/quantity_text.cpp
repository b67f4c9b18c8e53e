#include "sim/base/quantity_text.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <span>
#include <stdexcept>

namespace trainyard {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr std::array<Unit, 7> kTimeUnits = {
    {{"s", 1.0}, {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}, {"min", 60.0}, {"h", 3600.0}, {"d", 86400.0}}};
constexpr std::array<Unit, 9> kByteUnits = {{{"B", 1.0},
                                             {"kB", 1e3},
                                             {"MB", 1e6},
                                             {"GB", 1e9},
                                             {"TB", 1e12},
                                             {"KiB", 1024.0},
                                             {"MiB", 1048576.0},
                                             {"GiB", 1073741824.0},
                                             {"TiB", 1099511627776.0}}};
constexpr std::array<Unit, 4> kFrequencyUnits = {{{"Hz", 1.0}, {"kHz", 1e3}, {"MHz", 1e6}, {"GHz", 1e9}}};
constexpr std::array<Unit, 9> kBandwidthUnits = {{{"B/s", 1.0},
                                                  {"kB/s", 1e3},
                                                  {"MB/s", 1e6},
                                                  {"GB/s", 1e9},
                                                  {"TB/s", 1e12},
                                                  {"GiB/s", 1073741824.0},
                                                  {"Mb/s", 1e6 / 8.0},
                                                  {"Gb/s", 1e9 / 8.0},
                                                  {"Tb/s", 1e12 / 8.0}}};
constexpr std::array<Unit, 5> kComputeUnits = {
    {{"FLOP/s", 1.0}, {"MFLOP/s", 1e6}, {"GFLOP/s", 1e9}, {"TFLOP/s", 1e12}, {"PFLOP/s", 1e15}}};

double parse(std::string_view text, std::span<const Unit> units) {
  double number = 0.0;
  const auto [rest, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string_view unit(rest, static_cast<std::size_t>(text.data() + text.size() - rest));
  while (!unit.empty() && unit.front() == ' ') {
    unit.remove_prefix(1);
  }
  const bool is_number = status == std::errc{} && std::isfinite(number) && number >= 0.0;
  if (is_number) {
    for (const Unit& candidate : units) {
      const double value = number * candidate.factor;
      if (candidate.name == unit && (std::isnormal(value) || number == 0.0)) {
        return value;
      }
    }
  }
  std::string accepted;
  for (const Unit& candidate : units) {
    accepted += accepted.empty() ? "" : ", ";
    accepted += candidate.name;
  }
  throw std::invalid_argument(fmt::format("a non-negative number with one of the units {}", accepted));
}

// Picks the largest unit that leaves a value of at least one; the first unit is the smallest.
std::string scaled(double value, std::span<const Unit> ascending) {
  const Unit* chosen = &ascending.front();
  for (const Unit& unit : ascending) {
    if (std::abs(value) >= unit.factor) {
      chosen = &unit;
    }
  }
  return fmt::format("{:.4g} {}", value / chosen->factor, chosen->name);
}

}  // namespace

Seconds parse_seconds(std::string_view text) {
  return {parse(text, kTimeUnits)};
}
Bytes parse_bytes(std::string_view text) {
  return {parse(text, kByteUnits)};
}
Hertz parse_hertz(std::string_view text) {
  return {parse(text, kFrequencyUnits)};
}
BytesPerSecond parse_bytes_per_second(std::string_view text) {
  return {parse(text, kBandwidthUnits)};
}
FlopsPerSecond parse_flops_per_second(std::string_view text) {
  return {parse(text, kComputeUnits)};
}

std::string to_text(Seconds time) {
  constexpr std::array<Unit, 4> kUnits = {{{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1.0}}};
  return scaled(time.value, kUnits);
}
std::string to_text(Bytes bytes) {
  constexpr std::array<Unit, 5> kUnits = {
      {{"B", 1.0}, {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}, {"TiB", 1099511627776.0}}};
  return scaled(bytes.value, kUnits);
}
std::string to_text(BytesPerSecond rate) {
  constexpr std::array<Unit, 5> kUnits = {{{"B/s", 1.0}, {"kB/s", 1e3}, {"MB/s", 1e6}, {"GB/s", 1e9}, {"TB/s", 1e12}}};
  return scaled(rate.value, kUnits);
}
std::string to_text(FlopsPerSecond rate) {
  constexpr std::array<Unit, 4> kUnits = {{{"MFLOP/s", 1e6}, {"GFLOP/s", 1e9}, {"TFLOP/s", 1e12}, {"PFLOP/s", 1e15}}};
  return scaled(rate.value, kUnits);
}

}  // namespace trainyard
