#pragma once
// A pipeline schedule is the order of passes of every stage, and where between them it exchanges tensors with its
// neighbours. One file per schedule, one row in the table of schedule.cpp.
#include <cstdint>
#include <vector>

#include "sim/schedules/actions.hpp"
#include "sim/schedules/pipeline.hpp"
#include "sim/schedules/placement.hpp"

namespace trainyard {

// Of a schedule of the catalogue, not of kTable.
const ScheduleTraits& schedule_traits(ScheduleName name);

// What every stage does, in order. Every schedule guarantees: each micro-batch passes forward and backward (split or
// whole) once through every chunk that it visits.
std::vector<PassOrder> pass_orders(ScheduleName name, const ScheduleShape& shape);

// The same with the exchanges between the passes. GPipe, 1F1B, the interleaved schedule and the layer split exchange in
// batches as Megatron does unless p2p overlaps; all others post their messages one by one. What one stage sends its
// neighbour receives in the same order.
std::vector<StageActionList> schedule_actions(ScheduleName name, const ScheduleShape& shape, PipelineExchange exchange);

// Passes of one stage that hold activations at its fullest moment.
struct InFlight {
  std::int32_t whole = 0;        // forward done, backward not: they hold everything
  std::int32_t for_weights = 0;  // gradients of inputs done: they hold what the weights' gradients need
  std::int32_t passes() const { return whole + for_weights; }
};
// `weights_share`: what a pass holds for its weights' gradients, as a share of everything that it holds before.
InFlight most_in_flight(const PassOrder& order, double weights_share = 1.0);

std::vector<PassOrder> gpipe(const ScheduleShape& shape);
std::vector<PassOrder> one_f_one_b(const ScheduleShape& shape);
std::vector<PassOrder> interleaved_one_f_one_b(const ScheduleShape& shape);
std::vector<PassOrder> breadth_first(const ScheduleShape& shape);
std::vector<PassOrder> looped_bfs(const ScheduleShape& shape);
std::vector<PassOrder> zb_h1(const ScheduleShape& shape);
std::vector<PassOrder> zb_h2(const ScheduleShape& shape);
std::vector<PassOrder> zb_v(const ScheduleShape& shape);
std::vector<PassOrder> v_half(const ScheduleShape& shape);
std::vector<PassOrder> v_min(const ScheduleShape& shape);
std::vector<PassOrder> dualpipe(const ScheduleShape& shape);
std::vector<PassOrder> dualpipe_v(const ScheduleShape& shape);
std::vector<PassOrder> layer_split(const ScheduleShape& shape);

// Megatron's batched exchanges.
StageActionList gpipe_exchanges(const ScheduleShape& shape, std::int32_t stage);
StageActionList one_f_one_b_exchanges(const ScheduleShape& shape, std::int32_t stage);
StageActionList interleaved_exchanges(const ScheduleShape& shape, std::int32_t stage);
// In batches as well: what a stage has done is handed over before anything else begins.
StageActionList layer_split_exchanges(const ScheduleShape& shape, std::int32_t stage);

}  // namespace trainyard
