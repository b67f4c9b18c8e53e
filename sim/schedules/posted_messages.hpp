#pragma once
// Messages of a schedule that is given by its passes alone.
#include "sim/schedules/actions.hpp"
#include "sim/schedules/pipeline.hpp"

namespace trainyard {

// Every tensor is sent by itself right after the pass (or joined passes) that made it. Its receive is posted right
// before the pass that takes it, or, where p2p overlaps, one pass earlier: during the steady phase only (between a
// stage's first backward and its last forward) or throughout. The receives from one neighbour are posted in the order
// of its sends, so they match whatever the passes' orders are.
std::vector<StageActionList> post_messages(const std::vector<PassOrder>& orders, const ScheduleShape& shape,
                                           PipelineExchange exchange);

}  // namespace trainyard
