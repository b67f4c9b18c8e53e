#include "sim/collectives/exchange_counts.hpp"

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <cmath>
#include <sstream>
#include <string>

#include "sim/base/effort.hpp"
#include "sim/base/files.hpp"
#include "sim/collectives/option_fault.hpp"

namespace trainyard {
namespace {

constexpr double kSteepestZipf = 10.0;
constexpr double kBytesOfPair = 80.0;  // a weight, a transfer and a flow
constexpr std::string_view kCountsExample = "--counts zipf:1.2";

double read_weight(std::string_view text, std::string_view file) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) || value < 0.0) {
    fail_option(file, text, "a number of 0 or more", "this is no count", kCountsExample);
  }
  return value;
}

std::vector<double> read_row(std::string_view line, int ranks, std::string_view file) {
  std::vector<double> row;
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) {
    line.remove_suffix(1);
  }
  for (std::size_t begin = 0; begin <= line.size();) {
    const std::size_t comma = std::min(line.find(',', begin), line.size());
    row.push_back(read_weight(line.substr(begin, comma - begin), file));
    begin = comma + 1;
  }
  if (static_cast<int>(row.size()) != ranks) {
    fail_option(file, fmt::format("{} counts", row.size()), fmt::format("{}, one for each rank", ranks),
                "a sender's row has a count for each receiver", kCountsExample);
  }
  return row;
}

ExchangeWeights read_table(const std::string& path, int ranks) {
  std::istringstream in(read_file(path));
  ExchangeWeights weights;
  for (std::string line; std::getline(in, line) && static_cast<int>(weights.size()) <= ranks;) {
    weights.push_back(read_row(line, ranks, fmt::format("{}:{}", path, weights.size() + 1)));
  }
  if (static_cast<int>(weights.size()) != ranks) {
    fail_option(path, fmt::format("{} rows", weights.size()), fmt::format("{}, one for each rank", ranks),
                "the table of counts has a row for each sender", kCountsExample);
  }
  return weights;
}

}  // namespace

ExchangeWeights read_exchange(std::string_view text, int ranks, std::string_view file) {
  constexpr std::string_view kZipf = "zipf:";
  const auto same_for_all = [&](const std::vector<double>& row) {
    return ExchangeWeights(static_cast<std::size_t>(ranks), row);
  };
  const double pairs = static_cast<double>(ranks) * static_cast<double>(ranks);
  require_effort({.events = pairs, .bytes = pairs * kBytesOfPair},
                 {.file = std::string(file), .remedy = "exchange among fewer GPUs"});
  ExchangeWeights weights;
  if (text == "even") {
    weights = same_for_all(std::vector<double>(static_cast<std::size_t>(ranks), 1.0));
  } else if (text.starts_with(kZipf)) {
    const double slope = read_weight(text.substr(kZipf.size()), file);
    if (slope > kSteepestZipf) {
      fail_option(file, text, fmt::format("zipf:0 to zipf:{}", kSteepestZipf), "the distribution is too steep",
                  kCountsExample);
    }
    std::vector<double> row;
    for (int j = 1; j <= ranks; ++j) {
      row.push_back(std::pow(static_cast<double>(j), -slope));
    }
    weights = same_for_all(row);
  } else if (text.ends_with(".csv")) {
    weights = read_table(std::string(text), ranks);
  } else if (!text.empty() && (std::isdigit(static_cast<unsigned char>(text.front())) != 0)) {
    weights = same_for_all(read_row(text, ranks, file));
  } else {
    fail_option(file, text, "even, zipf:S, a share for each rank (3,1,1,...), or the path of a CSV table",
                "unknown distribution of counts", kCountsExample);
  }
  double sum = 0.0;
  for (const std::vector<double>& row : weights) {
    for (const double weight : row) {
      sum += weight;
    }
  }
  if (sum <= 0.0) {
    fail_option(file, text, "at least one count above zero", "nobody sends anything", kCountsExample);
  }
  return weights;
}

std::vector<Transfer> transfers_of(const ExchangeWeights& weights, std::span<const DeviceId> members, Bytes size) {
  TY_ASSERT(weights.size() == members.size());
  double sum = 0.0;
  for (const std::vector<double>& row : weights) {
    for (const double weight : row) {
      sum += weight;
    }
  }
  const Bytes unit = size * (static_cast<double>(members.size()) / sum);
  std::vector<Transfer> out;
  for (std::size_t i = 0; i < members.size(); ++i) {
    for (std::size_t j = 0; j < members.size(); ++j) {
      if (i != j && weights[i][j] > 0.0) {
        out.push_back({members[i], members[j], unit * weights[i][j]});
      }
    }
  }
  return out;
}

}  // namespace trainyard
