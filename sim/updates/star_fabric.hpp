#pragma once
// Nodes around a network that holds nobody up: what each sends shares one link, what it receives another.
#include <vector>

#include "sim/engine/quotient.hpp"
#include "sim/updates/update_job.hpp"
#include "topologies/fabric/fabric.hpp"

namespace trainyard {

inline LinkId out_of(std::size_t node) {
  return LinkId::from(2 * node);
}
inline LinkId into(std::size_t node) {
  return LinkId::from(2 * node + 1);
}

// One node at least; links as out_of and into number them.
Fabric star_fabric(const std::vector<Nic>& nodes);
std::vector<LinkClass> star_links(std::size_t nodes);

}  // namespace trainyard
