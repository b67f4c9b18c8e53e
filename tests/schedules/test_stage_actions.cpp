#include <doctest/doctest.h>

#include "sim/schedules/stage_actions.hpp"

using namespace trainyard;

namespace test_stage_actions {

TEST_CASE("no message crosses the ends of the model, and an exchange without messages is no action") {
  // Two stages with two chunks each: stage 0 has chunk 0 and chunk 2 of the model, with boundaries 1, 2 and 3.
  StageActions actions({.stages = 2, .chunks = 2, .micro_batches = 1}, 0);
  actions.receive_forward(0, 0);  // the model's input
  actions.exchange();
  actions.send_forward(0, 0);
  actions.receive_forward(0, 1);
  actions.exchange();
  const StageActionList taken = actions.take();
  REQUIRE(taken.size() == 1);
  REQUIRE(taken[0].messages.size() == 2);
  CHECK(taken[0].messages[0] == Message{MessageWay::kSend, MessageContent::kActivation, 0, 1});
  CHECK(taken[0].messages[1] == Message{MessageWay::kReceive, MessageContent::kActivation, 0, 2});
}

TEST_CASE("chunks that meet on one stage hand their tensors over without a message") {
  // One stage with two chunks, and the turning point of a V.
  StageActions alone({.stages = 1, .chunks = 2, .micro_batches = 1}, 0);
  alone.send_forward(0, 0);
  alone.receive_backward(0, 0);
  alone.exchange();
  CHECK(alone.take().empty());
  StageActions turn({.stages = 4, .chunks = 2, .micro_batches = 1, .placement = Placement::kV}, 3);
  turn.send_forward(0, 0);
  turn.receive_forward(0, 1);
  turn.exchange();
  CHECK(turn.take().empty());
}

}  // namespace test_stage_actions
