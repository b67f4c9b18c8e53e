#pragma once
// Which server keeps how much of which layer.
#include <vector>

#include "sim/updates/update_job.hpp"

namespace trainyard {

// Of every server, by layer (one where the job names none): its share of all parameters.
std::vector<std::vector<double>> shards_of(const UpdateJob& job);

// Of the server that keeps most.
double largest_shard(const UpdateJob& job);

}  // namespace trainyard
