#pragma once
// Links and flows as a SimGrid platform. SimGrid's defaults model TCP; NVLink and InfiniBand have none of that, so
// every correction factor is switched off here and nowhere else. This folder is a module of its own: of the house it
// uses what headers hold and nothing that would have to be linked.
#include <simgrid/s4u.hpp>
#include <string>
#include <vector>

#include "sim/engine/simgrid_module.hpp"

namespace trainyard {

// One per process: SimGrid keeps its clock.
class SimgridPlatform {
 public:
  explicit SimgridPlatform(const SimgridStep& step);

  simgrid::s4u::Engine& engine() { return *engine_; }
  // Where actors live.
  simgrid::s4u::Host* home() const { return home_; }
  // A communication that moves the bytes of a flow class along its route; not yet started.
  simgrid::s4u::CommPtr communication(std::int32_t flow, double bytes) const;

 private:
  simgrid::s4u::Link* make_link(const std::string& name, double bandwidth);

  struct Ends {
    simgrid::s4u::Host* from = nullptr;
    simgrid::s4u::Host* to = nullptr;
  };
  simgrid::s4u::Engine* engine_;
  simgrid::s4u::NetZone* links_zone_ = nullptr;
  simgrid::s4u::Host* home_ = nullptr;
  std::vector<Ends> ends_;  // by flow class
};

}  // namespace trainyard
