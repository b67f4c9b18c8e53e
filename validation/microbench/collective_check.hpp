#pragma once
// Known values for checking collectives: what each rank sends and what has to arrive. Every element depends on its
// sender and its place, so that what is misplaced shows; sums of thousands of ranks stay exact in fp32.
#include <cstddef>
#include <optional>
#include <vector>

#include "sim/base/work.hpp"

namespace trainyard {

// Whether the size that nccl-tests counts is that of all ranks' shares together.
bool splits_buffer(CollectiveOp op);

// Buffers have `share` elements for each of `ranks`, whatever the operation makes of them.
struct CheckedCollective {
  CollectiveOp op = CollectiveOp::kAllReduce;
  int ranks = 1;
  std::size_t share = 1;
};

float sent_value(int rank, std::size_t element);
// Elements that the operation may leave in a receive buffer, from its beginning.
std::size_t received_elements(const CheckedCollective& check);
// What element `element` of `rank`'s receive buffer holds afterwards; nothing where the operation writes nothing.
std::optional<float> received_value(const CheckedCollective& check, int rank, std::size_t element);

// Shares from one element to many packets, some of them of odd length.
std::vector<std::size_t> checked_shares();

}  // namespace trainyard
