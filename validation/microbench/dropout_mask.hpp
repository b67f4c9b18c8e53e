#pragma once
// Which elements dropout keeps: a hash of the element's number, the same on the CPU and the GPU.
#include <cstdint>

#ifdef __CUDACC__
#define TRAINYARD_HOST_DEVICE __host__ __device__
#else
#define TRAINYARD_HOST_DEVICE
#endif

namespace trainyard {

// Elements whose hash lies below the threshold are dropped.
TRAINYARD_HOST_DEVICE constexpr std::uint32_t dropout_threshold(double probability) {
  return static_cast<std::uint32_t>(probability * 4294967295.0);
}

// The finaliser of MurmurHash3 (A. Appleby, public domain) over the element's number, keyed by the seed.
TRAINYARD_HOST_DEVICE constexpr bool dropout_keeps(std::uint32_t seed, std::uint32_t element, std::uint32_t threshold) {
  std::uint32_t h = element * 0x9E3779B9U + seed;
  h ^= h >> 16U;
  h *= 0x85EBCA6BU;
  h ^= h >> 13U;
  h *= 0xC2B2AE35U;
  h ^= h >> 16U;
  return h >= threshold;
}

}  // namespace trainyard
