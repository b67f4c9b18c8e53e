#pragma once
// What happened when: for every simulated rank the times of its operations, in columns, and the use of links.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/id.hpp"
#include "sim/base/quantity.hpp"

namespace trainyard {

// One simulated rank and how many real ranks it stands for. Columns are indexed by the operations of its class; times
// are seconds since the step began.
struct RankTimeline {
  RankId rank;
  ClassId program_class;
  std::int64_t multiplicity = 1;
  // When the stream reached it and everything it waits for was over; of the host's: begun. Empty where it follows from
  // the ends (column_times.hpp).
  std::vector<double> start;
  std::vector<double> end;
  std::vector<double> moving;  // of communications only, in their order: when the last member had reached it
  // Kernels that communications beside them slowed down, in the order of their ends: operation, seconds it lost.
  std::vector<std::pair<std::uint32_t, double>> slowed;
};

// Links that behave alike, and what one of them carried.
struct LinkUse {
  std::string name;
  std::int64_t count = 0;  // links of this kind that were used
  Bytes bytes{};           // through one of them
  BytesPerSecond bandwidth{};
};

struct Timeline {
  Seconds step{};
  std::vector<RankTimeline> ranks;
  std::vector<LinkUse> links;
  std::int64_t events = 0;  // operations and flows that were executed
  std::int64_t shares = 0;  // times that flows which met on a link too narrow for them were given new shares
  std::int64_t flows_simulated = 0;
  std::int64_t flows_real = 0;
  std::int64_t links_simulated = 0;
  std::int64_t links_real = 0;
};

}  // namespace trainyard
