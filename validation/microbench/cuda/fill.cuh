#pragma once
// Operands made on the device, and read back for checks.
#include <cuda_runtime.h>

#include <cstddef>
#include <vector>

namespace trainyard::microbench {

enum class ElementType { kFp32, kFp16, kBf16, kFp8E4m3, kFp8E5m2 };

constexpr std::size_t bytes_of(ElementType type) {
  switch (type) {
    case ElementType::kFp32:
      return 4;
    case ElementType::kFp16:
    case ElementType::kBf16:
      return 2;
    case ElementType::kFp8E4m3:
    case ElementType::kFp8E5m2:
      return 1;
  }
  return 4;
}

// Between -1 and 1, or between 0 and 1.
enum class Range { kSymmetric, kPositive };

// Fills device memory with uniform values that `seed` varies, because power and clock depend on the data.
void fill_uniform(void* data, std::size_t count, ElementType type, cudaStream_t stream, unsigned seed = 0,
                  Range range = Range::kSymmetric);
// Every byte 0xFF: a NaN in all of these formats, so that what a kernel leaves out shows.
void poison(void* data, std::size_t bytes, cudaStream_t stream);
// The elements in double precision.
std::vector<double> host_values(const void* data, std::size_t count, ElementType type);

}  // namespace trainyard::microbench
