#pragma once
// Links and flows as a SimGrid platform. SimGrid's defaults model TCP; NVLink and InfiniBand have none of that, so
// every correction factor is switched off here and nowhere else. This folder is a module of its own: it includes
// nothing of the house but the interface that it keeps.
#include <deque>
#include <functional>
#include <optional>
#include <simgrid/s4u.hpp>
#include <string>
#include <vector>

#include "sim/engine/link_sharing.hpp"

namespace trainyard {

// One per process: SimGrid keeps its clock. Every flow class has a courier, an actor that sends it and waits for its
// end; flows started from outside an actor would cost SimGrid a look at every flow alive.
class SimgridPlatform final : public LinkSharing {
 public:
  explicit SimgridPlatform(const SharedNetwork& network);

  void run(const std::function<void()>& conductor) override;
  void sleep_until(double time) const override;
  void start_flow(std::int32_t flow, double bytes) override;
  std::optional<std::int32_t> wait_for_flow(double until) override;
  double clock() const override { return simgrid::s4u::Engine::get_clock(); }

 private:
  simgrid::s4u::Link* make_link(const std::string& name, double bandwidth);
  void deliver(std::int32_t flow);

  struct Courier {
    simgrid::s4u::Host* from;
    simgrid::s4u::Host* to;
    double bytes = 0.0;
    simgrid::s4u::SemaphorePtr wake;  // absent until the flow is first handed over
  };
  simgrid::s4u::Engine* engine_;
  simgrid::s4u::NetZone* links_zone_ = nullptr;
  simgrid::s4u::Host* actor_host_ = nullptr;
  std::vector<Courier> couriers_;  // by flow
  std::deque<std::int32_t> ended_;
  simgrid::s4u::SemaphorePtr wake_;  // of the conductor
};

}  // namespace trainyard

// What the module is loaded for.
extern "C" trainyard::LinkSharing* trainyard_make_link_sharing(const trainyard::SharedNetwork& network);
