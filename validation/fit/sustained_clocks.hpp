#pragma once
// What a GPU's clock gives way under GEMMs without pause, from the suite's GEMMs that were timed both ways.
#include <map>

#include "validation/fit/kernel_fitter.hpp"

namespace trainyard {

struct SustainedClock {
  std::size_t pairs = 0;  // GEMMs timed in cold bursts and for seconds
  double ratio = 1.0;     // median of burst time over sustained time: the clock over that of a burst, 1 at most
};

// By precision family, of the rows that read_suite made; families with fewer than kFewestPairs pairs are left out.
inline constexpr std::size_t kFewestPairs = 3;
std::map<PrecisionFamily, SustainedClock> sustained_clocks(const MeasurementRows& rows);

}  // namespace trainyard
