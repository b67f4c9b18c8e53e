#pragma once
// Collectives as nccl-tests prints them: one line for each size, what would be chosen and how fast it is.
#include <string>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "sim/collectives/base/collective.hpp"
#include "sim/collectives/exchange_counts.hpp"

namespace trainyard {

// The largest message that is asked for or measured: 1048576T.
inline constexpr Bytes kLargestMessage{1152921504606846976.0};  // 2^60

// A whole number of bytes from 1 to kLargestMessage.
bool is_message_size(double bytes);

// "8:16G" doubles from 8 bytes to 16 GiB; "1M" is one size. K, M and G are binary, as in nccl-tests. Throws UserError.
std::vector<Bytes> parse_sizes(std::string_view text, std::string_view file = "--sizes");

// Bus bandwidth over algorithm bandwidth. Source: nccl-tests doc/PERFORMANCE.md
double bus_factor(CollectiveOp op, int ranks);

enum class Candidates { kChosen, kAll };

struct SweepRow {
  Bytes size{};
  Seconds time{};
  std::optional<Algorithm> algorithm;
  std::optional<Protocol> protocol;
  int channels = 0;
  bool chosen = true;
  std::optional<Seconds> tuner;  // what the library expects, by which it chooses; of a sweep over all candidates
};

struct CollectiveSweep {
  CollectiveOp op = CollectiveOp::kAllReduce;
  std::string cluster;
  int ranks = 0;
  std::vector<SweepRow> rows;
  std::string text;  // nccl-tests' table with algorithm, protocol and channels
  Json json;
};

// The collective over the first `gpus` devices. With kAll every candidate of every size has a row and the chosen one is
// marked: the one for which the library's own constants give the least time, which is not always the one that takes
// least on this fabric. `weights` are those of an all-to-all-v; empty: even.
CollectiveSweep collective_sweep(CollectiveOp op, const ClusterSpec& cluster, int gpus, const std::vector<Bytes>& sizes,
                                 const CollectiveOptions& options = {}, Candidates candidates = Candidates::kChosen,
                                 const ExchangeWeights& weights = {});

// Bus bandwidth over size, one line for each algorithm and protocol, the chosen ones on top.
std::string draw_sweep(const CollectiveSweep& sweep);

}  // namespace trainyard
