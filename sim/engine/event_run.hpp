#pragma once
// The event loop that both engines share: hosts issue, streams run their operations in order, groups meet, kernels
// slow down beside collectives.
#include <vector>

#include "sim/engine/flow_network.hpp"
#include "sim/engine/rank_state.hpp"
#include "sim/engine/timeline.hpp"

namespace trainyard {

class EventRun {
 public:
  EventRun(const Program& program, const Fabric& fabric, const Quotient& quotient);
  // Throws UserError of exit code 4 when operations are left that wait for each other.
  Timeline run();

 private:
  // A call that some members have reached.
  struct Call {
    std::size_t arrived = 0;
    std::int32_t flowing = 0;           // flows, or one for all that share nothing
    std::vector<std::int32_t> waiting;  // streams, by number
    double slowness = 1.0;              // of this call, once all have reached it
  };
  // What every call of a group class does.
  struct GroupPlan {
    std::vector<std::int32_t> shared;  // flows that cross links which can limit them
    double direct = -1.0;              // seconds until the others are over; below zero: there are none
    std::int64_t calls = 0;
  };

  void loop();
  void dispatch(const QueuedEvent& event);
  void try_start(std::size_t rank, std::size_t stream);
  void start_kernels(std::size_t rank, std::size_t stream, std::uint32_t index);
  void arrive(std::size_t rank, std::size_t stream);
  void start_group(std::int32_t group);
  void flow_over(std::int32_t group);
  void finish(std::size_t rank, std::size_t stream);
  void reload(std::size_t rank);
  void throw_on_deadlock();

  static constexpr std::size_t kCompute = static_cast<std::size_t>(StreamName::kCompute);

  const Program& program_;
  const Fabric& fabric_;
  const Quotient& quotient_;
  EventQueue events_;
  FlowNetwork network_;
  Timeline timeline_;
  std::vector<ClassStreams> class_streams_;
  std::vector<RankState> ranks_;
  std::vector<Call> calls_;       // by group class: a call begins when the one before is over
  std::vector<GroupPlan> plans_;  // likewise
  std::vector<std::int32_t> group_of_flow_;
  double now_ = 0.0;
  bool varies_ = false;  // GPUs or calls are not all alike
};

}  // namespace trainyard
