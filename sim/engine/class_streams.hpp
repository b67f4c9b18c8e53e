#pragma once
// The operations of a class of ranks by stream, shared by its ranks.
#include <array>
#include <cstdint>
#include <vector>

#include "sim/program/program.hpp"

namespace trainyard {

struct ClassStreams {
  explicit ClassStreams(const RankProgram& program);
  std::array<std::vector<std::uint32_t>, kStreams> operations;
  std::vector<std::uint32_t> position;  // of every operation in its stream; of host operations kOnHost
  std::vector<std::size_t> used;        // streams that have operations: most classes leave most of them idle
  std::vector<std::uint32_t> host_waits;
  std::vector<std::uint32_t> among_communications;  // of every operation that communicates: how many such come before
  std::size_t communications = 0;                   // operations that communicate

  static constexpr std::uint32_t kOnHost = 0xffffffffU;
};

}  // namespace trainyard
