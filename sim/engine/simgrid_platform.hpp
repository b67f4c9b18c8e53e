#pragma once
// The folded fabric as a SimGrid platform. SimGrid's defaults model TCP; NVLink and InfiniBand have none of that, so
// every correction factor is switched off here and nowhere else.
#include <deque>
#include <functional>
#include <optional>
#include <simgrid/s4u.hpp>
#include <string>
#include <vector>

#include "sim/base/quantity.hpp"
#include "sim/engine/quotient.hpp"

namespace trainyard {

// One per process: SimGrid keeps its clock. Every flow class has a courier, an actor that sends it and waits for its
// end; flows started from outside an actor would cost SimGrid a look at every flow alive.
class SimgridPlatform {
 public:
  SimgridPlatform(const Quotient& quotient, const Fabric& fabric);

  // Runs the simulation: `conductor` is the actor that everything below is called from.
  void run(const std::function<void()>& conductor);
  void sleep_until(double time) const;
  // The bytes begin to move at once.
  void start_flow(std::int32_t flow_class, double bytes);
  // Waits until a flow ends or until `until`, whichever is first; nothing for the latter.
  std::optional<std::int32_t> wait_for_flow(double until);
  double clock() const { return simgrid::s4u::Engine::get_clock(); }

 private:
  simgrid::s4u::Link* make_link(const std::string& name, BytesPerSecond bandwidth);
  void deliver(std::int32_t flow_class);

  struct Courier {
    simgrid::s4u::Host* from;
    simgrid::s4u::Host* to;
    double bytes = 0.0;
    simgrid::s4u::SemaphorePtr wake;  // absent until the flow is first handed over
  };
  simgrid::s4u::Engine* engine_;
  simgrid::s4u::NetZone* links_zone_ = nullptr;
  simgrid::s4u::Host* actor_host_ = nullptr;
  std::vector<Courier> couriers_;  // by flow class
  std::deque<std::int32_t> ended_;
  simgrid::s4u::SemaphorePtr wake_;  // of the conductor
};

// "NVLink of GPU 3, node 0, out": a link for people.
std::string link_name(const Fabric& fabric, LinkId link);

}  // namespace trainyard
