#include "sim/engine/simgrid_platform.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>

#include "sim/base/error.hpp"

#if defined(__SANITIZE_ADDRESS__)
// SimGrid frees neither its engine nor what its actors last held when the process ends; those are not our leaks.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libsimgrid";
}
#endif

namespace trainyard {
namespace {

namespace sg = simgrid::s4u;

// Private links of one flow must never be the reason why it is slow.
constexpr double kUnlimited = 1e18;

sg::Engine* make_engine() {
  TY_ASSERT(!sg::Engine::is_initialized() && "one flow simulation per process");
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
  // In bytes per second: rates are 1e9 to 1e12, so shares are exact to about 1e-10.
  sg::Engine::set_config("maxmin/precision:0.1");
#if defined(__SANITIZE_ADDRESS__)
  sg::Engine::set_config("contexts/factory:thread");  // the sanitizer cannot follow switched stacks
#endif
  return engine;
}

}  // namespace

std::string link_name(const Fabric& fabric, LinkId link) {
  return fmt::format("{} -> {}", vertex_name(fabric.vertex(fabric.link(link).from)),
                     vertex_name(fabric.vertex(fabric.link(link).to)));
}

sg::Link* SimgridPlatform::make_link(const std::string& name, BytesPerSecond bandwidth) {
  return links_zone_->create_link(name, bandwidth.value)->seal();
}

SimgridPlatform::SimgridPlatform(const Quotient& quotient, const Fabric& fabric) : engine_(make_engine()) {
  sg::NetZone* root = sg::create_empty_zone("root");
  links_zone_ = sg::create_full_zone("links")->set_parent(root);
  actor_host_ = links_zone_->create_host("actors", 1.0)->seal();

  std::vector<sg::Link*> links;
  for (std::size_t l = 0; l < quotient.links.size(); ++l) {
    links.push_back(make_link(fmt::format("link{}", l), fabric.link(quotient.links[l].representative).bandwidth));
  }
  std::vector<sg::Link*> limits;
  for (std::size_t f = 0; f < quotient.flows.size(); ++f) {
    const BytesPerSecond limit = quotient.flows[f].rate_limit;
    if (quotient.flows[f].links.empty()) {
      limits.push_back(nullptr);
      continue;
    }
    limits.push_back(
        make_link(fmt::format("limit{}", f), limit > BytesPerSecond{} ? limit : BytesPerSecond{kUnlimited}));
  }
  links_zone_->seal();

  couriers_.resize(quotient.flows.size());
  // Every flow class has a zone of two hosts and one route: its limit, then each link as often as one such link carries
  // flows of the class, which is the weight of the flow in the link's constraint.
  for (std::size_t f = 0; f < quotient.flows.size(); ++f) {
    const FlowClass& flow = quotient.flows[f];
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

void SimgridPlatform::deliver(std::int32_t flow_class) {
  Courier& courier = couriers_[static_cast<std::size_t>(flow_class)];
  while (true) {
    courier.wake->acquire();
    const sg::CommPtr flow = sg::Comm::sendto_init(courier.from, courier.to);
    flow->set_payload_size(static_cast<std::uint64_t>(std::llround(courier.bytes)));
    flow->wait();
    ended_.push_back(flow_class);
    wake_->release();
  }
}

void SimgridPlatform::start_flow(std::int32_t flow_class, double bytes) {
  Courier& courier = couriers_[static_cast<std::size_t>(flow_class)];
  courier.bytes = bytes;
  if (!courier.wake) {
    courier.wake = sg::Semaphore::create(0);
    // A daemon ends with the last other actor.
    sg::Actor::create("courier", actor_host_, [this, flow_class] { deliver(flow_class); })->daemonize();
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
