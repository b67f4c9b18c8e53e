#include "sim/layout/stage_schedule.hpp"

#include <fmt/format.h>

#include "sim/base/effort.hpp"
#include "sim/schedules/posted_messages.hpp"

namespace trainyard {

ScheduleShape schedule_shape(const Scenario& scenario) {
  return {.stages = static_cast<std::int32_t>(scenario.layout.pp),
          .chunks = static_cast<std::int32_t>(scenario.layout.vpp),
          .micro_batches = static_cast<std::int32_t>(scenario.micro_batches()),
          .placement = scenario.placement(),
          .group = static_cast<std::int32_t>(scenario.training.micro_batch_group),
          .pairs = scenario.layout.ep_overlap == ExpertOverlap::kOn ? Pairs::kJoined : Pairs::kApart};
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
  return table ? table->rows : pass_orders(scenario.training.schedule, schedule_shape(scenario));
}

std::vector<StageActionList> schedule_actions(const Scenario& scenario) {
  require_order_effort(scenario);
  const ScheduleShape shape = schedule_shape(scenario);
  const PipelineExchange exchange = scenario.framework.exchange;
  const auto& table = scenario.training.schedule_table;
  return table ? post_messages(table->rows, shape, exchange)
               : schedule_actions(scenario.training.schedule, shape, exchange);
}

}  // namespace trainyard
