#pragma once
// How unequal the clients' data are.
#include <cstdint>
#include <vector>

#include "sim/scenario/synchronisation.hpp"

namespace trainyard {

// Of a mean of about 1; all are more than nothing.
std::vector<double> draw_data_sizes(DataSizes sizes, int clients, std::uint64_t seed);

}  // namespace trainyard
