#pragma once
// A group of calls as `trainyard collective --group` takes and prints it.
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "sim/collectives/base/collective.hpp"

namespace trainyard {

struct GroupCall {
  CollectiveOp op = CollectiveOp::kAllReduce;
  Bytes size{};
  int from = 0;  // of a send/recv
  int to = 0;
};

// "all_reduce:1M,all_gather:4M,sendrecv:64K:0-7": operations with their sizes, send/recv with its two ranks.
// Throws UserError.
std::vector<GroupCall> parse_group(std::string_view text, int ranks, std::string_view file = "--group");

struct GroupTable {
  std::string text;
  Json json;
};

// The group on the first `gpus` devices: what the library makes of it, when each part and the whole are over, and what
// the same calls take one after another.
GroupTable group_table(const std::vector<GroupCall>& calls, const ClusterSpec& cluster, int gpus,
                       const CollectiveOptions& options = {});

}  // namespace trainyard
