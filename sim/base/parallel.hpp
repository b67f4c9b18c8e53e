#pragma once
// Work that falls into independent parts, on the processors of this process.
#include <cstddef>
#include <functional>

namespace trainyard {

// Calls work(0), work(1), ... work(parts - 1), each once, on at most `workers` threads of which the caller is one.
// Parts must not touch each other's data; then the result does not depend on `workers`. What a part throws is thrown
// when all are over, of several the first part's.
void in_parallel(std::size_t parts, std::size_t workers, const std::function<void(std::size_t)>& work);

// How many threads pay for so many operations, of some ten nanoseconds each: to start one takes tens of microseconds.
std::size_t workers_for(double operations);

}  // namespace trainyard
