#pragma once
// Operands of the checked kernels: made on the device, read back in double precision for the reference.
#include <cuda_bf16.h>

#include <cstdint>
#include <vector>

#include "validation/microbench/cuda/device_array.cuh"
#include "validation/microbench/cuda/fill.cuh"

namespace trainyard::microbench {

// So many tensors of equal size behind one another, so that a timing may walk through more of them than the L2 cache
// holds. T is float or __nv_bfloat16.
template <class T>
class Tensors {
 public:
  // Values that `seed` varies.
  Tensors(std::size_t count, int copies, unsigned seed, Range range = Range::kSymmetric) : Tensors(count, copies) {
    seed_ = seed;
    range_ = range;
    refill();
  }
  // Results: not-a-numbers until a kernel writes them.
  Tensors(std::size_t count, int copies) : count_(count), values_(count * static_cast<std::size_t>(copies)) {
    poison();
  }

  T* at(int copy) const { return values_.data() + static_cast<std::size_t>(copy) * count_; }
  std::size_t count() const { return count_; }
  // Of the first.
  std::vector<double> to_host() const { return host_values(values_.data(), count_, kType); }
  void refill() const {
    fill_uniform(values_.data(), values_.size(), kType, nullptr, seed_, range_);
    TRAINYARD_CHECK(cudaDeviceSynchronize());
  }
  void poison() const {
    microbench::poison(values_.data(), values_.bytes(), nullptr);
    TRAINYARD_CHECK(cudaDeviceSynchronize());
  }

 private:
  static constexpr ElementType kType = sizeof(T) == 4 ? ElementType::kFp32 : ElementType::kBf16;
  std::size_t count_;
  unsigned seed_ = 0;
  Range range_ = Range::kSymmetric;
  DeviceArray<T> values_;
};

// Numbers that the host makes: labels and row numbers, few beside what they select. One set for each copy.
struct Indices {
  Indices(const std::vector<int>& values, int copies)
      : count(values.size() / static_cast<std::size_t>(copies)), device(std::span<const int>(values)) {}
  const int* at(int copy) const { return device.data() + static_cast<std::size_t>(copy) * count; }
  std::vector<int> to_host() const {
    std::vector<int> all = device.to_host();
    all.resize(count);
    return all;
  }
  std::size_t count;
  DeviceArray<int> device;
};

}  // namespace trainyard::microbench
