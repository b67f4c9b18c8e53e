#include "sim/engine/simgrid/platform.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace trainyard {
namespace {

namespace sg = simgrid::s4u;

// SimGrid takes whole units: a millionth of a byte is exact enough, and rates are in the same unit.
constexpr double kUnits = 0x1p20;
// Private links of one flow must never be the reason why it is slow.
constexpr double kUnlimited = 1e18;

sg::Engine* make_engine() {
  if (sg::Engine::is_initialized()) {
    throw std::logic_error("one SimGrid simulation per process");
  }
  // A simulated deadlock is reported in the program's words, not in SimGrid's own.
  static std::array<std::string, 3> arguments = {"trainyard", "--log=root.thresh:critical",
                                                 "--log=ker_engine.app:file:/dev/null"};
  static std::array<char*, 4> argv = {arguments[0].data(), arguments[1].data(), arguments[2].data(), nullptr};
  int argc = 3;
  auto* engine = new sg::Engine(&argc, argv.data());  // NOLINT: SimGrid keeps its engine for the life of the process
  sg::Engine::set_config("network/model:CM02");
  sg::Engine::set_config("network/bandwidth-factor:1");
  sg::Engine::set_config("network/latency-factor:1");
  sg::Engine::set_config("network/weight-S:0");
  sg::Engine::set_config("network/TCP-gamma:0");
  sg::Engine::set_config("network/crosstraffic:0");
  sg::Engine::set_config("surf/precision:1e-12");
  // A share of a link's bandwidth (and of its number of users, where SimGrid compares these).
  sg::Engine::set_config("maxmin/precision:1e-12");
  // KiB: an actor for every stream of every rank, none of which calls deep.
  sg::Engine::set_config("contexts/stack-size:64");
#if defined(__SANITIZE_ADDRESS__)
  sg::Engine::set_config("contexts/factory:thread");  // the sanitizer cannot follow switched stacks
#endif
  return engine;
}

}  // namespace

sg::Link* SimgridPlatform::make_link(const std::string& name, double bandwidth) {
  return links_zone_->create_link(name, bandwidth * kUnits)->seal();
}

SimgridPlatform::SimgridPlatform(const SimgridStep& step) : engine_(make_engine()) {
  sg::NetZone* root = sg::create_empty_zone("root");
  links_zone_ = sg::create_full_zone("links")->set_parent(root);
  home_ = links_zone_->create_host("home", 1.0)->seal();

  const std::vector<FlowClass>& flows = step.quotient.flows;
  std::vector<sg::Link*> links;
  for (std::size_t l = 0; l < step.bandwidth.size(); ++l) {
    links.push_back(make_link(fmt::format("link{}", l), step.bandwidth[l]));
  }
  std::vector<sg::Link*> limits;
  for (std::size_t f = 0; f < flows.size(); ++f) {
    const double limit = flows[f].rate_limit.value;
    limits.push_back(make_link(fmt::format("limit{}", f), limit > 0.0 ? limit : kUnlimited));
  }
  links_zone_->seal();

  ends_.resize(flows.size());
  // Every flow class has a zone of two hosts and one route: its limit, then each link as often as one such link carries
  // flows of the class, which is the weight of the flow in the link's constraint.
  for (std::size_t f = 0; f < flows.size(); ++f) {
    sg::NetZone* zone = sg::create_full_zone(fmt::format("flow{}", f))->set_parent(root);
    sg::Host* from = zone->create_host(fmt::format("from{}", f), 1.0)->seal();
    sg::Host* to = zone->create_host(fmt::format("to{}", f), 1.0)->seal();
    std::vector<sg::LinkInRoute> route = {sg::LinkInRoute(limits[f])};
    for (const auto& [link, weight] : flows[f].links) {
      route.insert(route.end(), static_cast<std::size_t>(weight),
                   sg::LinkInRoute(links[static_cast<std::size_t>(link)]));
    }
    zone->add_route(from->get_netpoint(), to->get_netpoint(), nullptr, nullptr, route, false);
    zone->seal();
    ends_[f] = {.from = from, .to = to};
  }
  root->seal();
}

sg::CommPtr SimgridPlatform::communication(std::int32_t flow, double bytes) const {
  const Ends& ends = ends_[static_cast<std::size_t>(flow)];
  sg::CommPtr out = sg::Comm::sendto_init(ends.from, ends.to);
  out->set_payload_size(static_cast<std::uint64_t>(std::llround(bytes * kUnits)));
  return out;
}

}  // namespace trainyard
