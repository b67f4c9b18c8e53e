#pragma once
// For tables that state numbers in multiples of a unit, as NCCL its own microseconds and GB/s.

namespace trainyard {

inline constexpr double kMicro = 1e-6;
inline constexpr double kGiga = 1e9;

}  // namespace trainyard
