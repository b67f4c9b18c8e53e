#pragma once
// layout.device_map: which device of a replica holds which layers, of a module that one process runs over several
// devices. It is a pipeline of as many stages, with schedule layer-split.
#include <cstdint>

#include "sim/scenario/scenario.hpp"

namespace trainyard {

// Reads layout.device_map, if there is one, into pp, layers_per_stage and the rank order: a list of layers for each
// device, or an object from layers to devices as Hugging Face writes it. Throws UserError where a layer has no device
// or two, a device has no layers, devices do not follow the layers, there are more than `gpus`, or pp or
// layers_per_stage say something else.
void read_device_map(const JsonReader& layout_json, const ModelSpec& model, std::int64_t gpus, Parallelism& layout);

// Settles how the stages of a device map hand over. Throws UserError where training.p2p says otherwise.
void settle_copies(const JsonReader& training_json, Scenario& scenario);

// Throws UserError when the rest of the scenario does not suit its device map.
void check_device_map(const Scenario& scenario, const std::string& file);

}  // namespace trainyard
