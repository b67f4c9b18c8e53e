#include "sim/engine/simgrid/simgrid_platform.hpp"

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
    throw std::logic_error("one flow simulation per process");
  }
  // A simulated deadlock is reported by FlowRun in the program's words, not by SimGrid in its own.
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
#if defined(__SANITIZE_ADDRESS__)
  sg::Engine::set_config("contexts/factory:thread");  // the sanitizer cannot follow switched stacks
#endif
  return engine;
}

}  // namespace

sg::Link* SimgridPlatform::make_link(const std::string& name, double bandwidth) {
  return links_zone_->create_link(name, bandwidth * kUnits)->seal();
}

SimgridPlatform::SimgridPlatform(const SharedNetwork& network) : engine_(make_engine()) {
  sg::NetZone* root = sg::create_empty_zone("root");
  links_zone_ = sg::create_full_zone("links")->set_parent(root);
  actor_host_ = links_zone_->create_host("actors", 1.0)->seal();

  std::vector<sg::Link*> links;
  for (std::size_t l = 0; l < network.bandwidth.size(); ++l) {
    links.push_back(make_link(fmt::format("link{}", l), network.bandwidth[l]));
  }
  std::vector<sg::Link*> limits;
  for (std::size_t f = 0; f < network.flows.size(); ++f) {
    const double limit = network.flows[f].rate_limit;
    if (network.flows[f].links.empty()) {
      limits.push_back(nullptr);
      continue;
    }
    limits.push_back(make_link(fmt::format("limit{}", f), limit > 0.0 ? limit : kUnlimited));
  }
  links_zone_->seal();

  couriers_.resize(network.flows.size());
  // Every flow class has a zone of two hosts and one route: its limit, then each link as often as one such link carries
  // flows of the class, which is the weight of the flow in the link's constraint.
  for (std::size_t f = 0; f < network.flows.size(); ++f) {
    const SharedFlow& flow = network.flows[f];
    if (flow.links.empty()) {
      continue;  // it shares nothing
    }
    sg::NetZone* zone = sg::create_full_zone(fmt::format("flow{}", f))->set_parent(root);
    sg::Host* from = zone->create_host(fmt::format("from{}", f), 1.0)->seal();
    sg::Host* to = zone->create_host(fmt::format("to{}", f), 1.0)->seal();
    std::vector<sg::LinkInRoute> route = {sg::LinkInRoute(limits[f])};
    for (const auto& [link, weight] : flow.links) {
      route.insert(route.end(), static_cast<std::size_t>(weight),
                   sg::LinkInRoute(links[static_cast<std::size_t>(link)]));
    }
    zone->add_route(from->get_netpoint(), to->get_netpoint(), nullptr, nullptr, route, false);
    zone->seal();
    couriers_[f].from = from;
    couriers_[f].to = to;
  }
  root->seal();
}

void SimgridPlatform::deliver(std::int32_t flow_number) {
  Courier& courier = couriers_[static_cast<std::size_t>(flow_number)];
  while (true) {
    courier.wake->acquire();
    const sg::CommPtr flow = sg::Comm::sendto_init(courier.from, courier.to);
    flow->set_payload_size(static_cast<std::uint64_t>(std::llround(courier.bytes * kUnits)));
    flow->wait();
    ended_.push_back(flow_number);
    wake_->release();
  }
}

void SimgridPlatform::start_flow(std::int32_t flow_number, double bytes) {
  Courier& courier = couriers_[static_cast<std::size_t>(flow_number)];
  courier.bytes = bytes;
  if (!courier.wake) {
    courier.wake = sg::Semaphore::create(0);
    // A daemon ends with the last other actor.
    sg::Actor::create("courier", actor_host_, [this, flow_number] { deliver(flow_number); })->daemonize();
  }
  courier.wake->release();
}

void SimgridPlatform::sleep_until(double time) const {
  if (time > clock()) {
    sg::this_actor::sleep_until(time);
  }
}

std::optional<std::int32_t> SimgridPlatform::wait_for_flow(double until) {
  while (ended_.empty()) {
    if (!std::isfinite(until)) {
      wake_->acquire();
    } else if (const double left = until - clock(); left <= 0.0 || wake_->acquire_timeout(left)) {
      break;
    }
  }
  if (ended_.empty()) {
    return std::nullopt;
  }
  const std::int32_t flow = ended_.front();
  ended_.pop_front();
  return flow;
}

void SimgridPlatform::run(const std::function<void()>& conductor) {
  wake_ = sg::Semaphore::create(0);
  sg::Actor::create("conductor", actor_host_, conductor);
  engine_->run();
}

}  // namespace trainyard

extern "C" trainyard::LinkSharing* trainyard_make_link_sharing(const trainyard::SharedNetwork& network) {
  return new trainyard::SimgridPlatform(network);  // NOLINT: whoever loads the module owns it
}
