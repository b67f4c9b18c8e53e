#pragma once
// Colour refinement: who can be told from whom by what they are and by whom they meet. Ranks, groups, flows and links
// begin in the classes of what is the same about them. Whenever some leave a class, those who meet them are looked at
// again, and leave theirs when what they meet differs; so what does not change costs nothing (Paige and Tarjan, "Three
// partition refinement algorithms", SIAM J. Comput. 16, 1987).
#include <cstdint>
#include <vector>

#include "sim/engine/laid_out.hpp"

namespace trainyard {

// Numbers of classes, in no particular order. Links are those of LaidOut::links, by their place there.
struct RefinedClasses {
  std::vector<std::int32_t> ranks;
  std::vector<std::int32_t> groups;
  std::vector<std::int32_t> flows;
  std::vector<std::int32_t> links;
};

// What sets a rank apart from others of its program: its GPU's pace, and everything where all draw for themselves.
std::uint64_t apart(const Program& program, std::size_t rank);

// The coarsest partition in which all members of a class meet equally many of every other class, by hashes of 64 bits.
// Under another salt they are other hashes of the same. Where nothing is shared flows do not count the links that they
// cross, though links count their flows.
RefinedClasses refined_classes(const Program& program, const Fabric& fabric, const LaidOut& laid, LinkSharing sharing,
                               std::uint64_t salt);

}  // namespace trainyard
