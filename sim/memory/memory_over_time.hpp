#pragma once
// Memory of one device over a step whose passes ran at known times.
#include <optional>
#include <vector>

#include "sim/memory/memory_meter.hpp"
#include "sim/schedules/schedule.hpp"

namespace trainyard {

// When something ran: from the start of its first kernel to the end of its last one.
struct Span {
  Seconds start{};
  Seconds end{};
};

// What a device holds from a moment on.
struct MemorySample {
  Seconds time{};
  MemoryUses uses;
};

struct MemoryOverTime {
  std::vector<MemorySample> samples;  // in order of time; the first at zero
  StageMemory peak;
};

// `spans` follow `order`; a pass without kernels has none and happens when what comes before it has happened. `update`
// is the optimizer's, after all passes. Passes are taken in the schedule's order, as by estimate_memory(), so that both
// say the same to the byte: of two passes beside each other the one that the schedule names first counts first,
// whichever began before.
MemoryOverTime memory_over_time(const StageHoldings& holdings, const PassOrder& order,
                                const std::vector<std::optional<Span>>& spans, const std::optional<Span>& update);

}  // namespace trainyard
