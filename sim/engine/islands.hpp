#pragma once
// Which simulated ranks go their own way for most of a step. Replicas of a model meet at its end; until then what one
// does cannot reach the others, so each may be simulated by itself.
#include <cstdint>
#include <vector>

#include "sim/engine/quotient.hpp"
#include "sim/program/program.hpp"

namespace trainyard {

struct Islands {
  std::size_t count = 1;
  std::vector<std::int32_t> of_rank;   // by rank class
  std::vector<std::int32_t> of_group;  // by group class; kAcross: of a communication that is not kept to one island
  std::vector<char> across;            // by communication: whether a group of it has members on several

  static constexpr std::int32_t kAcross = -1;
};

// Everybody on one.
Islands one_island(const Program& program, const Quotient& quotient);

// As many as there are when rare communications are left out: those that all fall into an eighth of the program, by
// operations. Groups and flows of different islands share no link, and what crosses between islands shares links only
// with those of its own members.
Islands find_islands(const Program& program, const Quotient& quotient);

}  // namespace trainyard
