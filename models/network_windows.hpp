#pragma once
// The room's own: layers of a network that slide a window over an image, from their JSON. Each settles `out` of a layer
// whose `in` is settled; all throw UserError with the layer's pointer.
#include "models/network.hpp"

namespace trainyard {

// Whether a layer has a bias: what its key says.
bool read_bias(const JsonReader& json, bool otherwise);

void read_convolution(const JsonReader& json, NetworkLayer& layer);
void read_depthwise(const JsonReader& json, NetworkLayer& layer);
void read_transposed(const JsonReader& json, NetworkLayer& layer);
void read_pool(const JsonReader& json, NetworkLayer& layer);

}  // namespace trainyard
