#pragma once
// What to say when the simulated program cannot go on.
#include <vector>

#include "sim/base/error.hpp"
#include "sim/program/program.hpp"

namespace trainyard {

struct BlockedOperation {
  RankId rank;
  ClassId program_class;
  OperationId operation;
};

// An error of exit code 4 that names the blocked ranks, streams and operations.
UserError deadlock(const Program& program, const std::vector<BlockedOperation>& blocked);

}  // namespace trainyard
