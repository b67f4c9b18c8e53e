#pragma once
// Operands of the checked kernels: the same values in device memory and, in double precision, for the reference.
#include <cuda_bf16.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "validation/microbench/cuda/device_array.cuh"

namespace trainyard::microbench {

// Uniform in [-1, 1], rounded to what T holds. A multiply-with-carry step for each value keeps large arrays cheap.
template <class T>
std::vector<T> uniform_values(std::size_t count, std::uint64_t seed) {
  std::vector<T> values(count);
  std::uint64_t state = seed * 0x9E3779B97F4A7C15ULL + 1;
  for (T& value : values) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;  // Source: Knuth, MMIX
    value = T(static_cast<float>(static_cast<double>(state >> 11U) * (2.0 / 9007199254740992.0) - 1.0));
  }
  return values;
}

inline double as_double(__nv_bfloat16 value) {
  return static_cast<double>(__bfloat162float(value));
}
inline double as_double(float value) {
  return static_cast<double>(value);
}

template <class T>
std::vector<double> as_doubles(const std::vector<T>& values) {
  std::vector<double> out;
  out.reserve(values.size());
  for (const T& value : values) {
    out.push_back(as_double(value));
  }
  return out;
}

template <class T>
double largest_error(const std::vector<T>& results, std::span<const double> reference) {
  double largest = results.size() == reference.size() ? 0.0 : INFINITY;
  for (std::size_t i = 0; i < results.size() && i < reference.size(); ++i) {
    const double error = std::abs(as_double(results[i]) - reference[i]) / (1.0 + std::abs(reference[i]));
    largest = std::isnan(error) ? INFINITY : std::max(largest, error);
  }
  return largest;
}

// A tensor that knows its initial values.
template <class T>
struct Operand {
  Operand(std::size_t count, std::uint64_t seed)
      : host(uniform_values<T>(count, seed)), device(std::span<const T>(host)) {}
  explicit Operand(std::vector<T> values) : host(std::move(values)), device(std::span<const T>(host)) {}
  void reset() const {
    TRAINYARD_CHECK(cudaMemcpy(device.data(), host.data(), device.bytes(), cudaMemcpyHostToDevice));
  }
  std::vector<T> host;
  DeviceArray<T> device;
};

}  // namespace trainyard::microbench
