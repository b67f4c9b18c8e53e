#include "sim/memory/memory_over_time.hpp"

#include <utility>

#include "sim/base/error.hpp"
#include "sim/memory/replay.hpp"

namespace trainyard {

MemoryOverTime memory_over_time(const StageHoldings& holdings, const PassOrder& order,
                                const std::vector<std::optional<Span>>& spans, const std::optional<Span>& update) {
  TY_ASSERT(spans.size() == order.size());
  MemoryMeter meter(holdings);
  MemoryOverTime out;
  Seconds now{};
  const auto record = [&](Seconds time) {
    now = max(now, time);
    out.samples.push_back({.time = now, .uses = meter.now()});
    if (meter.peak().total > out.peak.total) {
      out.peak = meter.peak();
      out.peak.at = now;
    }
  };
  record({});
  replay(order, meter, [&](std::size_t pass, PassEdge edge) {
    const std::optional<Span>& span = spans[pass];
    record(!span ? now : edge == PassEdge::kStart ? span->start : span->end);
  });
  if (update) {
    meter.begin_update();
    record(update->start);
    meter.end_update();
    record(update->end);
  }
  out.peak.host = meter.peak().host;
  return out;
}

}  // namespace trainyard
