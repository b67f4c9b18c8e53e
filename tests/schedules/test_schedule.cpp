#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <map>
#include <set>
#include <tuple>

#include "sim/schedules/schedule.hpp"
#include "tests/schedules/schedule_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_schedule {

namespace {

// Messages between two stages in one direction, in the order of issue.
using Channel = std::tuple<std::int32_t, std::int32_t, MessageContent>;  // from, to

std::int32_t sender_of(const Message& message, const ScheduleShape& shape) {
  const bool is_activation = message.content == MessageContent::kActivation;
  return stage_of(shape, is_activation ? message.model_chunk - 1 : message.model_chunk);
}
std::int32_t receiver_of(const Message& message, const ScheduleShape& shape) {
  const bool is_activation = message.content == MessageContent::kActivation;
  return stage_of(shape, is_activation ? message.model_chunk : message.model_chunk - 1);
}

PipelineExchange any_exchange() {
  return *rc::gen::element(PipelineExchange::kBatched, PipelineExchange::kOverlapped,
                           PipelineExchange::kOverlappedThroughout);
}

ScheduleShape shape_for(ScheduleName name, std::int32_t stages, std::int32_t chunks, std::int32_t micro_batches) {
  return {
      .stages = stages, .chunks = chunks, .micro_batches = micro_batches, .placement = schedule_traits(name).placement};
}

}  // namespace

TEST_CASE("every micro-batch passes every chunk once forward and once backward, forward first, weights last") {
  CHECK(rc::check([] {
    const auto [name, shape] = any_case();
    const std::vector<PassOrder> orders = pass_orders(name, shape);
    RC_ASSERT(orders.size() == static_cast<std::size_t>(shape.stages));
    for (const PassOrder& order : orders) {
      std::set<std::pair<std::int32_t, std::int32_t>> forward;
      std::set<std::pair<std::int32_t, std::int32_t>> inputs;
      std::set<std::pair<std::int32_t, std::int32_t>> weights;
      for (const StagePass& pass : order) {
        const std::pair one{pass.micro_batch, pass.chunk};
        RC_ASSERT(visits(shape, pass.micro_batch, pass.chunk));
        if (pass.kind == PassKind::kForward) {
          RC_ASSERT(forward.insert(one).second);
        } else if (pass.kind == PassKind::kWeightGradient) {
          RC_ASSERT(inputs.contains(one));
          RC_ASSERT(weights.insert(one).second);
        } else {
          RC_ASSERT(forward.contains(one));
          RC_ASSERT(inputs.insert(one).second);
          const bool whole = pass.kind == PassKind::kBackward;
          const bool new_weights = whole && weights.insert(one).second;
          RC_ASSERT(new_weights == whole);
        }
      }
      // The two replicas of a bidirectional pipeline share the micro-batches out.
      const std::int32_t visited = shape.placement == Placement::kBidirectional ? 1 : shape.chunks;
      RC_ASSERT(forward.size() == static_cast<std::size_t>(shape.micro_batches * visited));
      RC_ASSERT(inputs == forward);
      RC_ASSERT(weights == forward);
    }
  }));
}

TEST_CASE("no order of passes deadlocks") {
  CHECK(rc::check([] {
    const auto [name, shape] = any_case();
    RC_ASSERT(play(pass_orders(name, shape), shape).has_value());
  }));
}

TEST_CASE("what one stage sends the other receives in the same order, whatever the exchange") {
  CHECK(rc::check([] {
    const auto [name, shape] = any_case();
    std::map<Channel, std::vector<Message>> sent;
    std::map<Channel, std::vector<Message>> received;
    const std::vector<StageActionList> actions = schedule_actions(name, shape, any_exchange());
    for (std::int32_t stage = 0; stage < shape.stages; ++stage) {
      for (const Action& action : actions[static_cast<std::size_t>(stage)]) {
        for (Message message : action.messages) {
          const Channel channel{sender_of(message, shape), receiver_of(message, shape), message.content};
          const bool is_send = message.way == MessageWay::kSend;
          RC_ASSERT(stage == (is_send ? std::get<0>(channel) : std::get<1>(channel)));
          message.way = MessageWay::kSend;
          (is_send ? sent : received)[channel].push_back(message);
        }
      }
    }
    RC_ASSERT(sent == received);
  }));
}

TEST_CASE("a pass starts only after its input was received, and its output is sent behind it") {
  CHECK(rc::check([] {
    const auto [name, shape] = any_case();
    const std::vector<StageActionList> actions = schedule_actions(name, shape, any_exchange());
    const std::vector<PassOrder> orders = pass_orders(name, shape);
    for (std::int32_t stage = 0; stage < shape.stages; ++stage) {
      std::set<Message> messages;
      std::set<Message> made;
      PassOrder order;
      for (const Action& action : actions[static_cast<std::size_t>(stage)]) {
        for (const Message& message : action.messages) {
          RC_ASSERT(messages.insert(message).second);
          RC_ASSERT(message.way == MessageWay::kReceive || made.contains(message));
        }
        if (action.kind != ActionKind::kPass) {
          continue;
        }
        order.push_back(action.pass);
        if (action.pass.kind == PassKind::kWeightGradient) {
          continue;
        }
        const std::int32_t chunk = model_chunk_of(shape, stage, action.pass.chunk);
        const bool is_forward = action.pass.kind == PassKind::kForward;
        const auto content = is_forward ? MessageContent::kActivation : MessageContent::kGradient;
        const Message input{MessageWay::kReceive, content, action.pass.micro_batch, is_forward ? chunk : chunk + 1};
        const Message output{MessageWay::kSend, content, action.pass.micro_batch, is_forward ? chunk + 1 : chunk};
        RC_ASSERT(!crosses_stages(shape, input.model_chunk) || messages.contains(input));
        made.insert(output);
      }
      for (const Message& output : made) {
        RC_ASSERT(!crosses_stages(shape, output.model_chunk) || messages.contains(output));
      }
      RC_ASSERT(order == orders[static_cast<std::size_t>(stage)]);
    }
  }));
}

TEST_CASE("activations in flight are those of the published tables") {
  for (const std::int32_t p : {2, 4, 6, 8, 12, 16}) {
    CAPTURE(p);
    const auto most = [&](ScheduleName name, std::int32_t chunks, std::int32_t micro_batches, std::int32_t stage) {
      const auto orders = pass_orders(name, shape_for(name, p, chunks, micro_batches));
      return most_in_flight(orders[static_cast<std::size_t>(stage)]).passes();
    };
    for (std::int32_t stage = 0; stage < p; ++stage) {
      // 1F1B: stage i holds min(m, p - i); GPipe holds all m (arXiv 2104.04473, section 2.2).
      CHECK(most(ScheduleName::kOneFOneB, 1, 2 * p, stage) == p - stage);
      CHECK(most(ScheduleName::kOneFOneB, 1, 2, stage) == std::min(2, p - stage));
      CHECK(most(ScheduleName::kGpipe, 1, 2 * p, stage) == 2 * p);
      // Breadth-first: all micro-batches through all chunks (arXiv 2211.05953).
      CHECK(most(ScheduleName::kBreadthFirst, 3, p, stage) == 3 * p);
      CHECK(most(ScheduleName::kLoopedBfs, 3, p, stage) == 3 * p);
      // Interleaved: 2 (p - i - 1) + (v - 1) p + 1 chunk passes; on stage 0 that is p (1 + (p - 1) / (p v)) of 1F1B's
      // passes plus rounding (arXiv 2205.05198, section 4.2.3).
      CHECK(most(ScheduleName::kInterleaved, 2, 4 * p, stage) == 2 * (p - stage - 1) + p + 1);
      // Zero bubble, held until the weight gradient: p and 2 p - 1 on every stage (arXiv 2401.10241, table 2).
      CHECK(most(ScheduleName::kZbH1, 1, 3 * p, stage) == p);
      CHECK(most(ScheduleName::kZbH2, 1, 3 * p, stage) == 2 * p - 1);
      // ZB-V: as much as stage 0 of 1F1B, in chunk passes of half the size (arXiv 2405.15362, table 1).
      CHECK(most(ScheduleName::kZbV, 2, 3 * p, stage) == 2 * p);
      // DualPipe and DualPipeV: p + 1 passes, where the devices of DualPipeV are half the pipeline's stages (DualPipe
      // README).
      CHECK(most(ScheduleName::kDualPipe, 2, 4 * p, stage) == p + 1);
      CHECK(most(ScheduleName::kDualPipeV, 2, 4 * p, stage) == 2 * p + 1);
      // Of the 2 p chunk passes of 1F1B, V-Half holds half and V-Min a third, and what is in hand: up to two more
      // blocks of two (arXiv 2405.15362, table 1: p / 2 and p / 3 for large p).
      CHECK(most(ScheduleName::kVHalf, 2, 3 * p, stage) <= p + 2);
      CHECK(most(ScheduleName::kVMin, 2, 3 * p, stage) <= 2 * (p + 4) / 3);
    }
  }
}

TEST_CASE("what weight gradients need counts by its share") {
  // F0 F1 B0: one pass holds everything, one what the weights need.
  const PassOrder order = {{PassKind::kForward, 0, 0},
                           {PassKind::kForward, 1, 0},
                           {PassKind::kInputGradient, 0, 0},
                           {PassKind::kForward, 2, 0},
                           {PassKind::kWeightGradient, 0, 0}};
  // Held: 1, 2, 1 + share, 2 + share, 2. Three passes at the fullest moment, one of them in part.
  CHECK(most_in_flight(order, 0.25).whole == 2);
  CHECK(most_in_flight(order, 0.25).for_weights == 1);
  // With nothing held for weights the fullest moment is the first with two.
  CHECK(most_in_flight(order, 0.0).passes() == 2);
}

TEST_CASE("micro-batch groups order virtual passes as Megatron's schedule table does") {
  // Groups of 3 out of 5 micro-batches, two stages of two chunks: 0 1 2 through chunk 0, then chunk 1, then 3 4.
  ScheduleShape shape{.stages = 2, .chunks = 2, .micro_batches = 5, .placement = Placement::kLooped, .group = 3};
  const PassOrder order = pass_orders(ScheduleName::kInterleaved, shape)[0];
  std::vector<std::pair<std::int32_t, std::int32_t>> forward;
  for (const StagePass& pass : order) {
    if (pass.kind == PassKind::kForward) {
      forward.emplace_back(pass.micro_batch, pass.chunk);
    }
  }
  CHECK(forward == std::vector<std::pair<std::int32_t, std::int32_t>>{
                       {0, 0}, {1, 0}, {2, 0}, {0, 1}, {1, 1}, {2, 1}, {3, 0}, {4, 0}, {3, 1}, {4, 1}});
  // Warm-up on stage 0: 2 (p - 1) + (v - 1) group = 2 + 3 forwards before the first forward-backward pair.
  const auto first =
      std::find_if(order.begin(), order.end(), [](const StagePass& pass) { return pass.kind == PassKind::kBackward; });
  CHECK(first - order.begin() == 2 + 3 + 1);
}

TEST_CASE("joined pairs are those of the steady state, one forward pass further ahead") {
  for (const std::int32_t p : {2, 4, 8}) {
    CAPTURE(p);
    ScheduleShape apart = shape_for(ScheduleName::kInterleaved, p, 2, 4 * p);
    ScheduleShape joined = apart;
    joined.pairs = Pairs::kJoined;
    for (std::size_t stage = 0; stage < static_cast<std::size_t>(p); ++stage) {
      const PassOrder order = pass_orders(ScheduleName::kInterleaved, joined)[stage];
      const auto before = pass_orders(ScheduleName::kInterleaved, apart)[stage];
      CHECK(most_in_flight(order).passes() == most_in_flight(before).passes() + 1);
      std::ptrdiff_t pairs = 0;
      for (std::size_t i = 0; i < order.size(); ++i) {
        if (order[i].joined == Joined::kWithNext) {
          ++pairs;
          CHECK(order[i].kind == PassKind::kForward);
          REQUIRE(i + 1 < order.size());
          CHECK(order[i + 1].kind == PassKind::kBackward);
          // The two are of different passes through the stage.
          CHECK(std::pair{order[i].micro_batch, order[i].chunk} !=
                std::pair{order[i + 1].micro_batch, order[i + 1].chunk});
        }
      }
      // All but the warm-up: 2 (p - i - 1) + (v - 1) p + 1 of 2 * 4 p forward passes.
      CHECK(pairs == std::ptrdiff_t{8} * p - (2 * (p - static_cast<std::ptrdiff_t>(stage) - 1) + p + 1));
    }
  }
  // A single stage: one ahead.
  ScheduleShape single = shape_for(ScheduleName::kOneFOneB, 1, 1, 3);
  single.pairs = Pairs::kJoined;
  CHECK(pass_orders(ScheduleName::kOneFOneB, single)[0] == PassOrder{{PassKind::kForward, 0, 0},
                                                                     {PassKind::kForward, 1, 0, Joined::kWithNext},
                                                                     {PassKind::kBackward, 0, 0},
                                                                     {PassKind::kForward, 2, 0, Joined::kWithNext},
                                                                     {PassKind::kBackward, 1, 0},
                                                                     {PassKind::kBackward, 2, 0}});
  CHECK(schedule_actions(ScheduleName::kOneFOneB, single, PipelineExchange::kBatched)[0].size() == 6);
}

}  // namespace test_schedule
