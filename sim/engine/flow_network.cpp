#include "sim/engine/flow_network.hpp"

#include <algorithm>
#include <map>

namespace trainyard {
namespace {

// Of a rate or of the time: what differs by less differs by rounding.
constexpr double kRounding = 1e-13;

FairShares shares_of(const Quotient& quotient, const Fabric& fabric) {
  std::vector<double> capacity;
  capacity.reserve(quotient.links.size());
  for (const LinkClass& link : quotient.links) {
    capacity.push_back(fabric.link(link.representative).bandwidth.value);
  }
  std::vector<std::vector<FairShares::Crossing>> crossings(quotient.flows.size());
  std::vector<double> limits;
  limits.reserve(quotient.flows.size());
  for (std::size_t f = 0; f < quotient.flows.size(); ++f) {
    const FlowClass& flow = quotient.flows[f];
    limits.push_back(flow.rate_limit.value);
    std::map<std::int32_t, std::int32_t> weights;
    for (const auto& [link, weight] : flow.links) {
      weights[link] += weight;
    }
    for (const auto& [link, weight] : weights) {
      if (weight > 0) {
        crossings[f].push_back({.link = link, .weight = static_cast<double>(weight)});
      }
    }
  }
  return {std::move(capacity), std::move(crossings), limits};
}

void mark_stale(double now, FlowNetwork::Part& part) {
  if (!part.changes.any()) {
    part.stale_until = now * (1.0 + kRounding);
  }
}

}  // namespace

FlowNetwork::FlowNetwork(const Quotient& quotient, const Fabric& fabric)
    : quotient_(quotient), shares_(shares_of(quotient, fabric)), flows_(quotient.flows.size()) {}

bool FlowNetwork::own_limits_hold() const {
  for (std::size_t f = 0; f < flows_.size(); ++f) {
    const auto flow = static_cast<std::int32_t>(f);
    if (!shares_.crossings(flow).empty() && shares_.alone(flow) != quotient_.flows[f].rate_limit.value) {
      return false;
    }
  }
  return true;
}

void FlowNetwork::move(std::int32_t flow, double rate, double now, Part& part) {
  Moving& moving = flows_[static_cast<std::size_t>(flow)];
  moving.rate = rate;
  moving.since = now;
  part.events.push(EventKind::kFlowEnd, now + moving.left / rate, flow, ++moving.version);
}

void FlowNetwork::start(std::int32_t flow, double now, double slowness, Part& part) {
  const double bytes = quotient_.flows[static_cast<std::size_t>(flow)].bytes.value * slowness;
  Moving& moving = flows_[static_cast<std::size_t>(flow)];
  moving.left = bytes;
  moving.since = now;
  moving.rate = 0.0;
  mark_stale(now, part);
  if (shares_.enter(flow, part.changes)) {
    move(flow, shares_.alone(flow), now, part);
  }
}

bool FlowNetwork::end(const QueuedEvent& event, Part& part) {
  if (flows_[static_cast<std::size_t>(event.subject)].version != event.version) {
    return false;
  }
  mark_stale(event.time, part);
  shares_.leave(event.subject, part.changes);
  return true;
}

void FlowNetwork::share(double now, Part& part) {
  for (const auto& [flow, rate] : shares_.solve(part.changes)) {
    Moving& moving = flows_[static_cast<std::size_t>(flow)];
    part.held_up = part.held_up || rate != shares_.alone(flow);
    if (std::abs(rate - moving.rate) > kRounding * rate) {
      moving.left = std::max(0.0, moving.left - moving.rate * (now - moving.since));
      move(flow, rate, now, part);
    }
  }
}

}  // namespace trainyard
