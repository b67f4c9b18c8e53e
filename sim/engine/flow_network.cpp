#include "sim/engine/flow_network.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

constexpr double kRounding = 1.0 + 1e-12;  // of a sum of rates against a capacity

}  // namespace

FlowNetwork::FlowNetwork(const Quotient& quotient, const Fabric& fabric, EventQueue& events)
    : quotient_(quotient), fabric_(fabric), events_(events), flows_(quotient.flows.size()) {
  for (const LinkClass& link : quotient.links) {
    links_.emplace_back().capacity = fabric.link(link.representative).bandwidth.value;
  }
  crossings_.resize(flows_.size());
  for (std::size_t f = 0; f < flows_.size(); ++f) {
    const FlowClass& flow = quotient.flows[f];
    std::map<std::int32_t, double> weights;
    for (const auto& [link, weight] : flow.links) {
      weights[link] += weight;
    }
    double rate = flow.rate_limit.value > 0.0 ? flow.rate_limit.value : std::numeric_limits<double>::infinity();
    for (const auto& [link, weight] : weights) {
      if (weight > 0.0) {
        crossings_[f].push_back({.link = link, .weight = weight});
        rate = std::min(rate, links_[static_cast<std::size_t>(link)].capacity / weight);
      }
    }
    flows_[f].rate = rate;
  }
}

bool FlowNetwork::fits(std::int32_t flow) const {
  const double rate = flows_[static_cast<std::size_t>(flow)].rate;
  const std::vector<Crossing>& links = crossings(flow);
  return std::all_of(links.begin(), links.end(), [&](const Crossing& crossed) {
    const LinkState& link = links_[static_cast<std::size_t>(crossed.link)];
    return link.shared == 0 && link.load + crossed.weight * rate <= link.capacity * kRounding;
  });
}

void FlowNetwork::start(std::int32_t flow, double now, double slowness) {
  Moving& moving = flows_[static_cast<std::size_t>(flow)];
  TY_ASSERT(moving.state == State::kIdle);
  moving.end = now + quotient_.flows[static_cast<std::size_t>(flow)].bytes.value * slowness / moving.rate;
  if (!fits(flow)) {
    hand_over(flow, now);
    return;
  }
  moving.state = State::kFree;
  for (const auto& [link, weight] : crossings(flow)) {
    LinkState& crossed = links_[static_cast<std::size_t>(link)];
    crossed.load += weight * moving.rate;
    crossed.free.push_back(flow);
  }
  events_.push(EventKind::kFlowEnd, moving.end, flow, moving.version);
}

// Takes a free flow off its links.
void FlowNetwork::leave(std::int32_t flow) {
  for (const auto& [link, weight] : crossings(flow)) {
    LinkState& crossed = links_[static_cast<std::size_t>(link)];
    std::erase(crossed.free, flow);
    crossed.load = crossed.free.empty() ? 0.0 : crossed.load - weight * flows_[static_cast<std::size_t>(flow)].rate;
  }
}

bool FlowNetwork::end(const QueuedEvent& event) {
  Moving& moving = flows_[static_cast<std::size_t>(event.subject)];
  if (moving.state != State::kFree || moving.version != event.version) {
    return false;
  }
  leave(event.subject);
  moving.state = State::kIdle;
  ++moving.version;
  return true;
}

// With a flow go all that share a link with it: one solver sees everything on a link.
void FlowNetwork::hand_over(std::int32_t first, double now) {
  std::vector<std::int32_t> open = {first};
  flows_[static_cast<std::size_t>(first)].state = State::kShared;
  while (!open.empty()) {
    const std::int32_t flow = open.back();
    open.pop_back();
    Moving& moving = flows_[static_cast<std::size_t>(flow)];
    ++moving.version;
    handed_over_.push_back({.flow = flow, .bytes = std::max(0.0, moving.end - now) * moving.rate});
    for (const Crossing& crossed : crossings(flow)) {
      LinkState& link = links_[static_cast<std::size_t>(crossed.link)];
      ++link.shared;
      const std::vector<std::int32_t> others = link.free;
      for (const std::int32_t other : others) {
        leave(other);
        flows_[static_cast<std::size_t>(other)].state = State::kShared;
        open.push_back(other);
      }
    }
  }
}

void FlowNetwork::run_in_simgrid(const std::function<void()>& rest) {
  SharedNetwork network;
  for (const LinkClass& link : quotient_.links) {
    network.bandwidth.push_back(fabric_.link(link.representative).bandwidth.value);
  }
  for (const FlowClass& flow : quotient_.flows) {
    network.flows.push_back({.rate_limit = flow.rate_limit.value, .links = flow.links});
  }
  simgrid_ = share_links_in_simgrid(network);
  simgrid_->run(rest);
}

std::optional<FlowNetwork::End> FlowNetwork::wait(double now, double until) {
  if (!handed_over_.empty()) {
    simgrid_->sleep_until(now);
    for (const HandedOver& flow : handed_over_) {
      simgrid_->start_flow(flow.flow, flow.bytes);
    }
    in_simgrid_ += static_cast<std::int32_t>(handed_over_.size());
    handed_over_.clear();
  }
  const std::optional<std::int32_t> ended = simgrid_->wait_for_flow(until);
  if (!ended) {
    return std::nullopt;
  }
  --in_simgrid_;
  Moving& moving = flows_[static_cast<std::size_t>(*ended)];
  moving.state = State::kIdle;
  for (const Crossing& crossed : crossings(*ended)) {
    links_[static_cast<std::size_t>(crossed.link)].shared -= 1;
  }
  return End{.flow = *ended, .time = simgrid_->clock()};
}

}  // namespace trainyard
