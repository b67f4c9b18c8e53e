#include "sim/schedules/schedule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sim/base/effort.hpp"
#include "sim/base/error.hpp"
#include "sim/schedules/posted_messages.hpp"

namespace trainyard {
namespace {

struct Row {
  ScheduleName name;
  std::vector<PassOrder> (*orders)(const ScheduleShape&);
  StageActionList (*exchanges)(const ScheduleShape&, std::int32_t) = nullptr;  // none: messages are posted
};

constexpr std::array<Row, 12> kSchedules = {
    {{ScheduleName::kGpipe, gpipe, gpipe_exchanges},
     {ScheduleName::kOneFOneB, one_f_one_b, one_f_one_b_exchanges},
     {ScheduleName::kInterleaved, interleaved_one_f_one_b, interleaved_exchanges},
     {ScheduleName::kBreadthFirst, breadth_first},
     {ScheduleName::kLoopedBfs, looped_bfs},
     {ScheduleName::kZbH1, zb_h1},
     {ScheduleName::kZbH2, zb_h2},
     {ScheduleName::kZbV, zb_v},
     {ScheduleName::kVHalf, v_half},
     {ScheduleName::kVMin, v_min},
     {ScheduleName::kDualPipe, dualpipe},
     {ScheduleName::kDualPipeV, dualpipe_v}}};

const Row& row_of(ScheduleName name) {
  const auto* row = std::find_if(kSchedules.begin(), kSchedules.end(), [&](const Row& r) { return r.name == name; });
  TY_ASSERT(row != kSchedules.end());
  return *row;
}

bool overlaps(PipelineExchange exchange) {
  return exchange == PipelineExchange::kOverlapped || exchange == PipelineExchange::kOverlappedThroughout;
}

}  // namespace

ScheduleShape shape_of(const Scenario& scenario) {
  return {.stages = static_cast<std::int32_t>(scenario.layout.pp),
          .chunks = static_cast<std::int32_t>(scenario.layout.vpp),
          .micro_batches = static_cast<std::int32_t>(scenario.micro_batches()),
          .placement = scenario.placement(),
          .group = static_cast<std::int32_t>(scenario.training.micro_batch_group),
          .pairs = scenario.layout.ep_overlap == ExpertOverlap::kOn ? Pairs::kJoined : Pairs::kApart};
}

std::vector<PassOrder> pass_orders(ScheduleName name, const ScheduleShape& shape) {
  return row_of(name).orders(shape);
}

namespace {

// Orders are lists of all passes of all stages, whatever is simulated of them.
void require_order_effort(const Scenario& scenario) {
  const double passes = 3.0 * static_cast<double>(scenario.micro_batches()) * static_cast<double>(scenario.layout.vpp) *
                        static_cast<double>(scenario.layout.pp);
  require_effort({.events = passes, .bytes = passes * sizeof(StagePass)},
                 {.file = "scenario",
                  .pointer = "/training/global_batch",
                  .remedy = fmt::format("use fewer micro-batches (now {}): a smaller global_batch, or a larger "
                                        "micro_batch",
                                        scenario.micro_batches())});
}

}  // namespace

std::vector<PassOrder> pass_orders(const Scenario& scenario) {
  require_order_effort(scenario);
  const auto& table = scenario.training.schedule_table;
  return table ? table->rows : pass_orders(scenario.training.schedule, shape_of(scenario));
}

std::vector<StageActionList> schedule_actions(ScheduleName name, const ScheduleShape& shape,
                                              PipelineExchange exchange) {
  const Row& row = row_of(name);
  if (row.exchanges == nullptr || overlaps(exchange)) {
    return post_messages(row.orders(shape), shape, exchange);
  }
  std::vector<StageActionList> actions;
  for (std::int32_t stage = 0; stage < shape.stages; ++stage) {
    actions.push_back(row.exchanges(shape, stage));
  }
  return actions;
}

std::vector<StageActionList> schedule_actions(const Scenario& scenario) {
  require_order_effort(scenario);
  const ScheduleShape shape = shape_of(scenario);
  const PipelineExchange exchange = scenario.framework.exchange;
  const auto& table = scenario.training.schedule_table;
  return table ? post_messages(table->rows, shape, exchange)
               : schedule_actions(scenario.training.schedule, shape, exchange);
}

InFlight most_in_flight(const PassOrder& order, double weights_share) {
  InFlight now;
  InFlight most;
  const auto held = [&](const InFlight& passes) { return passes.whole + weights_share * passes.for_weights; };
  for (const StagePass& pass : order) {
    switch (pass.kind) {
      case PassKind::kForward:
        ++now.whole;
        break;
      case PassKind::kBackward:
        --now.whole;
        break;
      case PassKind::kInputGradient:
        --now.whole;
        ++now.for_weights;
        break;
      case PassKind::kWeightGradient:
        --now.for_weights;
        break;
    }
    if (held(now) > held(most)) {
      most = now;
    }
  }
  return most;
}

}  // namespace trainyard
