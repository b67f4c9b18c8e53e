#pragma once
// The event loop that flow and analytic share: hosts issue, streams run their operations in order, groups meet, kernels
// slow down beside collectives. One loop simulates the whole machine or one island of it.
#include <cstdint>
#include <vector>

#include "sim/engine/flow_network.hpp"
#include "sim/engine/islands.hpp"
#include "sim/engine/rank_state.hpp"

namespace trainyard {

// The state of all that is simulated. Loops that run at the same time touch different ranks, groups, flows and links.
struct SimulatedMachine {
  // The call of a group class that some members have reached: it begins when the one before is over.
  struct Call {
    std::size_t arrived = 0;
    std::int32_t flowing = 0;           // flows, or one for all that share nothing
    std::vector<std::int32_t> waiting;  // streams, by number
    double slowness = 1.0;              // of this call, once all have reached it
    std::int64_t calls = 0;             // that have begun
  };
  // What every call of a group class does.
  struct CallFlows {
    std::vector<std::int32_t> shared;  // flows that cross links which can limit them
    double direct = -1.0;              // seconds until the others are over; below zero: there are none
  };

  const Program& program;
  const Quotient& quotient;
  const Islands& islands;
  LinkSharing sharing;  // kNone: loops end where a flow is held up
  FlowNetwork network;
  std::vector<RankState> ranks;
  std::vector<Call> calls;       // by group class
  std::vector<CallFlows> flows;  // likewise
  std::vector<std::int32_t> group_of_flow;
  std::int64_t open_across = 0;  // calls between islands that have begun to gather and are not over
};

// How far a loop reaches: an island's stops where a stream comes to a communication between islands; one for the whole
// goes on from there until no such communication is under way any more.
enum class Reach { kIsland, kWhole };

class EventLoop {
 public:
  EventLoop(SimulatedMachine& machine, Reach reach) : machine_(machine), reach_(reach) {}

  // A rank begins: its host issues, its streams start what they can.
  void begin(std::size_t rank);
  // Until nothing more can happen within reach.
  void run();
  // Events that are left, and with them the work, go from one loop to another.
  EventQueue& events() { return part_.events; }

  std::int64_t executed() const { return executed_; }  // operations and flows
  std::int64_t shares() const { return shares_; }      // times that flows were given new shares
  bool held_up() const { return part_.held_up; }       // whether a flow ever moved more slowly than alone

 private:
  void dispatch(const QueuedEvent& event);
  void start_idle(std::size_t rank);
  void start(std::size_t rank, std::size_t stream);
  void start_kernels(std::size_t rank, std::size_t stream, std::uint32_t index);
  void arrive(std::size_t rank, std::size_t stream);
  void start_group(std::int32_t group);
  void flow_over(std::int32_t group);
  void finish(std::size_t rank, std::size_t stream);
  void reload(std::size_t rank);
  bool is_across(std::int32_t group) const;
  bool is_across(const RankProgram& program, const Operation& operation) const;

  static constexpr std::size_t kCompute = static_cast<std::size_t>(StreamName::kCompute);

  SimulatedMachine& machine_;
  Reach reach_;
  FlowNetwork::Part part_;
  std::vector<std::int32_t> released_;  // streams that a call which is over lets go
  double now_ = 0.0;
  std::int64_t executed_ = 0;
  std::int64_t shares_ = 0;
  bool met_ = false;  // since run() was called, a call between islands was over
};

}  // namespace trainyard
