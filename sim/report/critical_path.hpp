#pragma once
// The chain of operations that determines the step: shortening anything else does not help.
#include <string>
#include <vector>

#include "sim/engine/timeline.hpp"
#include "sim/program/program.hpp"

namespace trainyard {

// Consecutive pieces of the path with the same operation name on the same kind of rank, added up.
struct CriticalPart {
  std::string rank_class;
  std::string operation;
  Seconds time{};
  std::int64_t count = 0;
};

// Walks back from the operation that ends last: to the operation of its own rank that freed it, to the member that
// reached a communication last, or to the host that issued it. Parts are added up per class and name, longest first;
// their times add up to the step.
std::vector<CriticalPart> critical_path(const Program& program, const Timeline& timeline);

}  // namespace trainyard
