#pragma once
// What a computation will take, worked out before it starts, and the refusal of what would run for hours or take more
// memory than there is. The limit belongs to the process and its machine, not to the question: it changes no result.
#include <string>

#include "sim/base/error.hpp"

namespace trainyard {

// Both are estimates from above, to a factor of two or so.
struct Effort {
  double events = 0.0;  // simulated operations and their like; about half a microsecond each
  double bytes = 0.0;   // memory held at once
};

// How much is allowed without being asked for: at half a microsecond a minute or two.
inline constexpr double kMostEvents = 2e8;

// Throws UserError when more events than allowed are needed or more memory than the machine has to give; `where` says
// what asks for it (file, pointer, remedy).
void require_effort(const Effort& needed, Fault where);

// From here on less is allowed than kMostEvents, where many computations share out what one may take.
void limit_effort(double most_events);

// From here on everything is tried (--no-limit).
void lift_effort_limit();

// Memory that this process may still take, in bytes: what the machine has available, less where its control groups or
// its own limits (ulimit -v, -d) leave less. Infinite where nothing is known.
double available_memory();

}  // namespace trainyard
