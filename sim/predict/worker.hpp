#pragma once
// What of a job a worker of many updates is: what it pushes and when, and the network before it.
#include <vector>

#include "sim/layout/layout.hpp"
#include "sim/updates/update_job.hpp"

namespace trainyard {

// The way from a GPU to that of the same place in another node, and its share of a NIC that several GPUs of a node use.
Nic nic_of(const ClusterSpec& cluster);

// Gradients of all that trains.
Bytes pushed_bytes(const ModelSpec& model);

// A model's layers in the order of the backward pass, of a layout of one stage.
std::vector<PushedLayer> worker_layers(const Scenario& scenario, const Layout& layout);

}  // namespace trainyard
