#pragma once
// nccl-tests' output, written: what NCCL measurements print for people and for tools that read it.
// Format: NVIDIA/nccl-tests, src/common.cu, version 2.13 and later: header comments, then one line for each size with
// out-of-place and in-place time (us), algorithm and bus bandwidth (GB/s) and the number of wrong elements.
#include <optional>
#include <string>
#include <vector>

#include "sim/base/work.hpp"

namespace trainyard {

struct NcclTestRank {
  std::string host;
  int process = 0;
  int device = 0;
  std::string gpu;  // as the driver names it
};

struct NcclTestRun {
  CollectiveOp op = CollectiveOp::kAllReduce;
  std::string type;  // float, half, bfloat16, int8, ...
  int type_bytes = 4;
  int root = -1;
  std::vector<NcclTestRank> ranks;
  std::string note;  // what a reader must know: "ranks share one GPU", ...
};

struct NcclTestTime {
  Bytes size{};  // as nccl-tests counts it
  Seconds out_of_place{};
  std::optional<Seconds> in_place;  // absent where the operation has none
  std::int64_t wrong = 0;
};

std::string nccl_test_header(const NcclTestRun& run, int nccl_version);
std::string nccl_test_line(const NcclTestRun& run, const NcclTestTime& time);
// The closing lines: how many values were out of bounds, and the average bus bandwidth.
std::string nccl_test_footer(const NcclTestRun& run, const std::vector<NcclTestTime>& times);

}  // namespace trainyard
