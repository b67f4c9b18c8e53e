#include "validation/microbench/records.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <numeric>

#include "validation/tables/statistics.hpp"

namespace trainyard {

Json spread_json(const std::vector<double>& seconds) {
  TY_ASSERT(!seconds.empty());
  return {{"median", *quantile(seconds, 0.5)},
          {"low", *quantile(seconds, 0.1)},
          {"high", *quantile(seconds, 0.9)},
          {"repeats", seconds.size()}};
}

RecordWriter::RecordWriter(const std::string& path) : path_(path) {
  if (path_ != "-") {
    file_.open(path_, std::ios::app);
    if (!file_) {
      throw UserError({.file = path_, .problem = "cannot append measurements to this file"});
    }
  }
}

void RecordWriter::write(const Json& record) {
  const std::string line = record.dump() + "\n";
  if (path_ == "-") {
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fflush(stdout);
    return;
  }
  file_ << line << std::flush;
  if (!file_) {
    throw UserError({.file = path_, .problem = "writing a measurement failed", .remedy = "is the disk full?"});
  }
}

std::vector<std::size_t> spread_order(std::size_t count) {
  constexpr double kGoldenShare = 0.6180339887498949;  // multiples of it fill an interval most evenly
  std::size_t stride = std::max<std::size_t>(1, static_cast<std::size_t>(kGoldenShare * static_cast<double>(count)));
  while (std::gcd(stride, count) > 1) {
    ++stride;
  }
  std::vector<std::size_t> order(count);
  for (std::size_t i = 0; i < count; ++i) {
    order[i] = i * stride % count;
  }
  return order;
}

}  // namespace trainyard
