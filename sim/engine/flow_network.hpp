#pragma once
// Flows on shared links. As long as no link is asked for more than it carries, every flow moves at its own limit, which
// is its max-min fair share: then its end is known when it starts. Flows that meet on a link which cannot carry them
// all, and those that share links with these, are handed to SimGrid, whose max-min solver shares the links out.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "sim/engine/event_queue.hpp"
#include "sim/engine/link_sharing.hpp"
#include "sim/engine/quotient.hpp"

namespace trainyard {

class FlowNetwork {
 public:
  FlowNetwork(const Quotient& quotient, const Fabric& fabric, EventQueue& events);

  // The bytes of a flow class begin to move, `slowness` times as many as planned. It ends with an event kFlowEnd or
  // through wait().
  void start(std::int32_t flow, double now, double slowness);
  // An event kFlowEnd happened. False when it is out of date: the flow was handed over in between.
  bool end(const QueuedEvent& event);

  // Flows were handed over before SimGrid was there to take them: continue within run_in_simgrid().
  bool needs_simgrid() const { return !handed_over_.empty() && simgrid_ == nullptr; }
  void run_in_simgrid(const std::function<void()>& rest);
  bool congested() const { return !handed_over_.empty() || in_simgrid_ > 0; }
  struct End {
    std::int32_t flow;
    double time;
  };
  // Lets SimGrid run until one of its flows ends or until `until`. `now` is the time of what was handed over.
  std::optional<End> wait(double now, double until);

 private:
  enum class State : std::uint8_t { kIdle, kFree, kShared };
  struct Moving {
    State state = State::kIdle;
    std::uint32_t version = 0;
    double rate = 0.0;  // alone
    double end = 0.0;   // at that rate
  };
  struct LinkState {
    double capacity = 0.0;
    double load = 0.0;               // of free flows
    std::vector<std::int32_t> free;  // flows
    std::int32_t shared = 0;         // flows in SimGrid
  };
  struct Crossing {
    std::int32_t link;
    double weight;  // how often a flow of the class goes through one link of that class
  };
  bool fits(std::int32_t flow) const;
  void hand_over(std::int32_t flow, double now);
  void leave(std::int32_t flow);
  const std::vector<Crossing>& crossings(std::int32_t flow) const { return crossings_[static_cast<std::size_t>(flow)]; }

  const Quotient& quotient_;
  const Fabric& fabric_;
  EventQueue& events_;
  std::vector<Moving> flows_;
  std::vector<std::vector<Crossing>> crossings_;  // by flow, every link once
  std::vector<LinkState> links_;
  struct HandedOver {
    std::int32_t flow;
    double bytes;
  };
  std::vector<HandedOver> handed_over_;
  std::int32_t in_simgrid_ = 0;
  std::unique_ptr<LinkSharing> simgrid_;
};

}  // namespace trainyard
