#pragma once
// What NVLS and the NVLS tree share.
#include "sim/collectives/algorithms/table.hpp"

namespace trainyard {

// Bus bandwidth in GB/s of all heads inside a node; over several nodes none has more than `between`.
double nvls_bandwidth(const TunerCase& c, double between);

int nvls_channels(const TunerCase& c);  // whatever the size

}  // namespace trainyard
