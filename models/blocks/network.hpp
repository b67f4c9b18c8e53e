#pragma once
// A unit of a network, layer by layer, and its loss.
#include "models/blocks/description.hpp"

namespace trainyard {

void network_unit(Description& description);
// Softmax and cross entropy over the outputs of each sample.
void network_loss(Description& description);

}  // namespace trainyard
