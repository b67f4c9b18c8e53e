#pragma once
// A small program and what happened, by hand: rank 0 works and sends, rank 1 receives and works.
//
//   rank 0   compute  |long......|send|                0..2, 2..3
//   rank 1   compute  |short|      recv|after.....|     0..1, waits 1..2, moves 2..3, 3..5
#include "sim/engine/timeline.hpp"
#include "sim/program/program.hpp"

namespace trainyard {

inline Operation kernels_operation(std::int32_t name, double device) {
  return {.kind = OperationKind::kKernels,
          .category = Category::kCompute,
          .stream = StreamName::kCompute,
          .chunk = 0,
          .micro_batch = 7,
          .name = name,
          .run = {.device = {device}, .critical = {device}, .kernels = 3}};
}

inline Operation communication_operation(std::int32_t name, Category category, StreamName stream,
                                         std::uint32_t communications) {
  return {.kind = OperationKind::kCommunication,
          .category = category,
          .stream = stream,
          .name = name,
          .communications = communications};
}

// Columns of a rank whose host issues everything at zero. `moving` is that of all operations.
inline RankTimeline rank_timeline(std::size_t rank, std::size_t program_class, std::vector<double> start,
                                  std::vector<double> moving, std::vector<double> end) {
  RankTimeline out{.rank = RankId::from(rank), .program_class = ClassId::from(program_class)};
  out.start = std::move(start);
  out.moving = std::move(moving);
  out.end = std::move(end);
  return out;
}

inline void keep_communications(const RankProgram& program, RankTimeline& rank) {
  std::vector<double> kept;
  for (std::size_t i = 0; i < program.operations.size(); ++i) {
    if (program.operations[i].kind == OperationKind::kCommunication) {
      kept.push_back(rank.moving[i]);
    }
  }
  rank.moving = std::move(kept);
}

struct HandMade {
  Program program;
  Timeline timeline;
};

inline HandMade sender_and_receiver() {
  HandMade made;
  made.program.names = {"long", "short", "after", "send", "receive"};
  made.program.communications = {{.name = "activation from stage 0 to 1",
                                  .op = CollectiveOp::kSendRecv,
                                  .size = {1000.0},
                                  .groups = {{RankId::from(0), RankId::from(1)}}}};
  made.program.class_names = {"stage 0", "stage 1"};
  made.program.class_of = {ClassId::from(0), ClassId::from(1)};

  RankProgram sender;
  sender.operations = {kernels_operation(0, 2.0),
                       communication_operation(3, Category::kPipeline, StreamName::kPipeline, 1)};
  sender.operations[1].waits = 1;
  sender.waits = {OperationId::from(0)};
  sender.communications = {CommunicationId::from(0)};

  RankProgram receiver;
  receiver.operations = {kernels_operation(1, 1.0),
                         communication_operation(4, Category::kPipeline, StreamName::kPipeline, 1),
                         kernels_operation(2, 2.0)};
  receiver.operations[1].first_wait = 0;
  receiver.operations[1].waits = 1;
  receiver.operations[2].first_wait = 1;
  receiver.operations[2].waits = 1;
  receiver.waits = {OperationId::from(0), OperationId::from(1)};
  receiver.communications = {CommunicationId::from(0)};

  made.program.classes = {sender, receiver};
  made.timeline.step = {5.0};
  made.timeline.ranks = {rank_timeline(0, 0, {0.0, 2.0}, {0.0, 2.0}, {2.0, 3.0}),
                         rank_timeline(1, 1, {0.0, 1.0, 3.0}, {0.0, 2.0, 3.0}, {1.0, 3.0, 5.0})};
  keep_communications(made.program.classes[0], made.timeline.ranks[0]);
  keep_communications(made.program.classes[1], made.timeline.ranks[1]);
  return made;
}

}  // namespace trainyard
