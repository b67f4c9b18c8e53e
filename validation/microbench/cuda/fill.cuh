#pragma once
// Operands for timings whose results nobody reads.
#include <cuda_runtime.h>

#include <cstddef>

namespace trainyard::microbench {

enum class ElementType { kFp32, kFp16, kBf16, kFp8 };

constexpr std::size_t bytes_of(ElementType type) {
  switch (type) {
    case ElementType::kFp32:
      return 4;
    case ElementType::kFp16:
    case ElementType::kBf16:
      return 2;
    case ElementType::kFp8:
      return 1;
  }
  return 4;
}

// Fills device memory with values uniform in [-1, 1], because power and clock depend on the data.
void fill_uniform(void* data, std::size_t count, ElementType type, cudaStream_t stream);

}  // namespace trainyard::microbench
