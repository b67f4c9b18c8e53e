#pragma once
// A user's own schedule.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/schedules/pipeline.hpp"

namespace trainyard {

// A user's schedule: what every stage does, in order.
struct ScheduleTable {
  std::string file;
  Placement placement = Placement::kLooped;
  std::int64_t chunks = 1;         // per stage: one more than the largest named
  std::int64_t micro_batches = 1;  // likewise
  std::vector<PassOrder> rows;
};

// Reads a table: an optional line `placement looped|v|bidirectional`, then one line per stage of cells F, B or W,
// a micro-batch from 0 and, beyond chunk 0, `.` and a chunk: `F0 F1.1 B0 W0`. `-` stands for nothing, `#` begins a
// comment. Where a W follows, B is the gradient of the inputs alone. Throws UserError naming line and column when a
// cell is not one, a pass is missing or stands twice, or stands before what it needs on its own stage.
ScheduleTable parse_schedule_table(std::string_view text, const std::string& file);

}  // namespace trainyard
