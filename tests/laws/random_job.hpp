#pragma once
// Any job that a user might ask for, from a seed: catalogue models of a few layers on 1 to 64 GPUs of any cluster. Most
// are legal; read_scenario() says which.
#include <cstdint>

#include "sim/base/json_reader.hpp"
#include "sim/scenario/read_scenario.hpp"

namespace trainyard::checks {

Json random_job(std::uint64_t seed);

}  // namespace trainyard::checks
