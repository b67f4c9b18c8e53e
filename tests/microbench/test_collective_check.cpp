// The values that NCCL's results are compared with, against a collective carried out by hand for every number of ranks.
#include <doctest/doctest.h>

#include <vector>

#include "validation/microbench/collective_check.hpp"

namespace trainyard::test_collective_check {
namespace {

using Buffers = std::vector<std::vector<float>>;  // by rank

// The operation's definition: rank `to`'s receive buffer from everybody's send buffer.
std::vector<float> carried_out(CollectiveOp op, const Buffers& sent, std::size_t to, std::size_t share) {
  const std::size_t ranks = sent.size();
  std::vector<float> out;
  for (std::size_t from = 0; from < ranks; ++from) {
    for (std::size_t i = 0; i < share; ++i) {
      float sum = 0.0F;
      for (const std::vector<float>& buffer : sent) {
        sum += buffer[from * share + i];
      }
      switch (op) {
        case CollectiveOp::kAllReduce:
          out.push_back(sum);
          break;
        case CollectiveOp::kReduceScatter:
          if (from == to) {
            out.push_back(sum);
          }
          break;
        case CollectiveOp::kScatter:
          if (from == to) {
            out.push_back(sent[0][from * share + i]);
          }
          break;
        case CollectiveOp::kAllGather:
          out.push_back(sent[from][i]);
          break;
        case CollectiveOp::kAllToAll:
          out.push_back(sent[from][to * share + i]);
          break;
        case CollectiveOp::kSendRecv:
          out.push_back(sent[(to + ranks - 1) % ranks][from * share + i]);
          break;
        default:  // broadcast
          out.push_back(sent[0][from * share + i]);
          break;
      }
    }
  }
  return out;
}

TEST_CASE("checks know every element that arrives, for any number of ranks and any share") {
  for (const int ranks : {1, 2, 3, 5, 6, 7, 8}) {
    for (const std::size_t share : {std::size_t{1}, std::size_t{3}, std::size_t{100}}) {
      Buffers sent;
      for (int rank = 0; rank < ranks; ++rank) {
        std::vector<float>& buffer = sent.emplace_back();
        for (std::size_t i = 0; i < share * static_cast<std::size_t>(ranks); ++i) {
          buffer.push_back(sent_value(rank, i));
        }
      }
      for (const CollectiveOp op :
           {CollectiveOp::kAllReduce, CollectiveOp::kReduceScatter, CollectiveOp::kScatter, CollectiveOp::kAllGather,
            CollectiveOp::kAllToAll, CollectiveOp::kSendRecv, CollectiveOp::kBroadcast}) {
        CAPTURE(ranks);
        CAPTURE(share);
        CAPTURE(kCollectiveOpNames.name_of(op));
        const CheckedCollective check{.op = op, .ranks = ranks, .share = share};
        for (int rank = 0; rank < ranks; ++rank) {
          const std::vector<float> expected = carried_out(op, sent, static_cast<std::size_t>(rank), share);
          REQUIRE(received_elements(check) == expected.size());
          for (std::size_t i = 0; i < expected.size(); ++i) {
            REQUIRE(received_value(check, rank, i) == expected[i]);
          }
        }
      }
    }
  }
}

TEST_CASE("an operation to a root leaves the others' buffers alone") {
  for (const CollectiveOp op : {CollectiveOp::kReduce, CollectiveOp::kGather}) {
    CHECK(received_value({.op = op, .ranks = 3, .share = 2}, 0, 5));
    CHECK_FALSE(received_value({.op = op, .ranks = 3, .share = 2}, 1, 5));
  }
  // Three ranks send 3 + 1, 2, 3 in element 3: 3 * 3 + 6.
  CHECK(received_value({.op = CollectiveOp::kReduce, .ranks = 3, .share = 2}, 0, 3) == 15.0F);
}

}  // namespace
}  // namespace trainyard::test_collective_check
