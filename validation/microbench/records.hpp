#pragma once
// What every part of the suite writes: JSON lines. A file begins with a "machine" line; every line after it is one
// measurement on that machine. README.md beside this file lists the keys of each record.
#include <chrono>
#include <cstddef>
#include <fstream>
#include <string>
#include <vector>

#include "sim/base/json_reader.hpp"

namespace trainyard {

// Median, tenth and ninetieth percentile of repeated timings. Throws nothing of no timings: they must not be empty.
Json spread_json(const std::vector<double>& seconds);

// Appends records to a file, or to standard output when the path is "-". A line is written whole and flushed, so that a
// suite that is stopped leaves every finished measurement.
class RecordWriter {
 public:
  // Throws UserError when the file cannot be appended to.
  explicit RecordWriter(const std::string& path);
  void write(const Json& record);

 private:
  std::string path_;
  std::ofstream file_;
};

// The time a part may take.
class TimeLimit {
 public:
  explicit TimeLimit(double seconds) : start_(std::chrono::steady_clock::now()), seconds_(seconds) {}
  bool passed() const { return left() < 0.0; }
  // Seconds until it passes; negative afterwards.
  double left() const {
    return seconds_ - std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_;
  double seconds_;
};

// 0 .. count-1 in an order whose every beginning is spread over the whole range, so that a part stopped by its time
// limit has measured a sample of all its cases. Deterministic.
std::vector<std::size_t> spread_order(std::size_t count);

}  // namespace trainyard
