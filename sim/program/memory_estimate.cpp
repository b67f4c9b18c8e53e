#include "sim/program/memory_estimate.hpp"

#include <algorithm>
#include <functional>

#include "sim/layout/stage_schedule.hpp"
#include "sim/schedules/schedule.hpp"

namespace trainyard {
namespace {

// Tells a meter what happens when the passes of a stage run in their order.
template <class Meter>
void follow(const PassOrder& order, Meter& meter) {
  for (const StagePass& pass : order) {
    const auto chunk = static_cast<std::size_t>(pass.chunk);
    switch (pass.kind) {
      case PassKind::kForward:
        meter.begin_forward(chunk);
        break;
      case PassKind::kInputGradient:
        meter.begin_backward(chunk);
        meter.end_input_gradient(chunk);
        break;
      case PassKind::kWeightGradient:
        meter.end_weight_gradient(chunk);
        meter.release_gradients();
        break;
      case PassKind::kBackward:
        meter.begin_backward(chunk);
        meter.end_backward(chunk);
        meter.release_gradients();
        break;
    }
  }
}

// Keeps the moments that no other one covers, in their order.
class MomentCollector {
  auto keeping() {
    return [this](const PassesUnderWay& now) { keep(now); };
  }

 public:
  explicit MomentCollector(const std::vector<std::size_t>& counted_as)
      : counted_as_(counted_as), passes_(1 + *std::max_element(counted_as.begin(), counted_as.end())) {
    keep(passes_.now());
  }

  void begin_forward(std::size_t chunk) { passes_.begin_forward(counted_as_[chunk], keeping()); }
  void begin_backward(std::size_t chunk) { passes_.begin_backward(counted_as_[chunk], keeping()); }
  void end_backward(std::size_t chunk) { passes_.end_backward(counted_as_[chunk], keeping()); }
  void end_input_gradient(std::size_t chunk) { passes_.end_input_gradient(counted_as_[chunk], keeping()); }
  void end_weight_gradient(std::size_t chunk) { passes_.end_weight_gradient(counted_as_[chunk], keeping()); }
  void release_gradients() { passes_.release_gradients(); }

  std::vector<PassesUnderWay> take() { return std::move(moments_); }

 private:
  void keep(const PassesUnderWay& now) {
    // What covers a moment tends to have come shortly before.
    if (std::any_of(moments_.rbegin(), moments_.rend(), [&](const auto& one) { return covers(one, now); })) {
      return;
    }
    std::erase_if(moments_, [&](const PassesUnderWay& one) { return covers(now, one); });
    moments_.push_back(now);
  }

  const std::vector<std::size_t>& counted_as_;
  PassCounter passes_;
  std::vector<PassesUnderWay> moments_;
};

}  // namespace

MemoryEstimate estimate_memory(const Scenario& scenario, const Layout& layout) {
  const std::vector<PassOrder> orders = pass_orders(scenario);
  std::vector<StageMemory> stages;
  for (std::size_t stage = 0; stage < layout.stages.size(); ++stage) {
    const StageHoldings holdings = stage_holdings(scenario, layout, stage);
    MemoryMeter meter(holdings);
    follow(orders[stage], meter);
    meter.begin_update();
    stages.push_back(meter.peak());
  }
  return make_estimate(std::move(stages), scenario, layout);
}

std::vector<PassesUnderWay> fullest_moments(const PassOrder& order, const std::vector<std::size_t>& counted_as) {
  MomentCollector collector(counted_as);
  follow(order, collector);
  return collector.take();
}

bool covers(const PassesUnderWay& more, const PassesUnderWay& less) {
  const auto no_less = [](const std::vector<std::int32_t>& a, const std::vector<std::int32_t>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), std::greater_equal<>());
  };
  return more.most_held >= less.most_held && more.has_gradients >= less.has_gradients && more.follows >= less.follows &&
         no_less(more.held, less.held) && no_less(more.backward, less.backward) && no_less(more.halfway, less.halfway);
}

}  // namespace trainyard
