#pragma once
// Flows on shared links. A flow that no link holds up moves at its own limit, and its end is known when it starts;
// flows that meet on a link too narrow for all of them get max-min fair shares, which are found anew whenever one of
// them begins or ends.
#include <cstdint>
#include <vector>

#include "sim/collectives/base/fair_shares.hpp"
#include "sim/engine/event_queue.hpp"
#include "sim/engine/quotient.hpp"

namespace trainyard {

class FlowNetwork {
 public:
  // What happens next in a part of the network, and what changed there. Flows of different parts share no link, so
  // parts may be simulated at the same time.
  struct Part {
    EventQueue events;
    FairShares::Changes changes;
    double stale_until = 0.0;
    bool held_up = false;  // a flow once moved more slowly than it could alone
  };

  FlowNetwork(const Quotient& quotient, const Fabric& fabric);

  // Whether all flows move at their own limits when they are alone.
  bool own_limits_hold() const;

  // The bytes of a flow class begin to move, `slowness` times as many as planned. It ends with an event kFlowEnd.
  void start(std::int32_t flow, double now, double slowness, Part& part);
  // An event kFlowEnd happened. False when it is out of date: the flow's share changed in between.
  bool end(const QueuedEvent& event, Part& part);
  // Shares links anew if flows came or went and time is about to go on: flows that begin or end together are one
  // change.
  bool share_before(double next, double now, Part& part) {
    if (!part.changes.any() || next <= part.stale_until) {
      return false;
    }
    share(now, part);
    return true;
  }

 private:
  struct Moving {
    std::uint32_t version = 0;
    double rate = 0.0;
    double left = 0.0;   // bytes at `since`
    double since = 0.0;  // when its rate last changed
  };
  void share(double now, Part& part);
  void move(std::int32_t flow, double rate, double now, Part& part);

  const Quotient& quotient_;
  FairShares shares_;
  std::vector<Moving> flows_;
};

}  // namespace trainyard
