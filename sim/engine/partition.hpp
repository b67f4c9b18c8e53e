#pragma once
// Who does the same as whom. Colour refinement over ranks, groups, flows and links finds the coarsest equitable
// partition: every member of a class meets equally many of every other class. Colours are hashes, so what they say is
// checked against that definition before it is believed.
#include <cstdint>
#include <vector>

#include "sim/engine/laid_out.hpp"
#include "sim/scenario/scenario.hpp"

namespace trainyard {

// Classes by number, in the order of their first members. Links are indexed by LinkId; -1: no flow uses it.
struct Partition {
  std::vector<std::int32_t> ranks;
  std::vector<std::int32_t> groups;
  std::vector<std::int32_t> flows;
  std::vector<std::int32_t> links;
};

// With Fold::kOff every rank, group, flow and link is a class of its own. With LinkSharing::kNone flows are alike
// whatever links they cross.
Partition equitable_partition(const Program& program, const Fabric& fabric, const LaidOut& laid, Fold fold,
                              LinkSharing sharing = LinkSharing::kPossible);

// Whether all members of every class are alike, and meet the same classes equally often.
bool is_equitable(const Program& program, const Fabric& fabric, const LaidOut& laid, const Partition& partition,
                  LinkSharing sharing = LinkSharing::kPossible);

}  // namespace trainyard
