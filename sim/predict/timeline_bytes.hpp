#pragma once
// A timeline as bytes and back, to the bit: simulations run in children.
#include <string>

#include "sim/engine/timeline.hpp"

namespace trainyard {

std::string timeline_bytes(const Timeline& timeline);
Timeline timeline_from_bytes(const std::string& bytes);

}  // namespace trainyard
