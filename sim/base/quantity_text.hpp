#pragma once
// Quantities as people write them: "450 GB/s", "2.5 us", "80 GiB", "989 TFLOP/s", "200 Gb/s".
#include <string>
#include <string_view>

#include "sim/base/quantity.hpp"

namespace trainyard {

// Each parser takes a finite, non-negative number followed by a unit of the wanted dimension. GB is 1e9 bytes, GiB is
// 2^30 bytes, Gb is bits. Throws std::invalid_argument whose text says what is accepted.
Seconds parse_seconds(std::string_view text);
Bytes parse_bytes(std::string_view text);
Hertz parse_hertz(std::string_view text);
BytesPerSecond parse_bytes_per_second(std::string_view text);
FlopsPerSecond parse_flops_per_second(std::string_view text);

// Short text for people, with the unit that keeps one to three digits before the point: "1.23 ms", "45.6 GiB".
std::string to_text(Seconds time);
std::string to_text(Bytes bytes);  // binary units
std::string to_text(BytesPerSecond rate);
std::string to_text(FlopsPerSecond rate);

}  // namespace trainyard
