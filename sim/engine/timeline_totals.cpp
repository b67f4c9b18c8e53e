#include "sim/engine/timeline_totals.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

namespace trainyard {
namespace {

// A link for people: from where to where.
std::string link_name(const Fabric& fabric, LinkId link) {
  return fmt::format("{} -> {}", vertex_name(fabric.vertex(fabric.link(link).from)),
                     vertex_name(fabric.vertex(fabric.link(link).to)));
}

}  // namespace

void add_totals(Timeline& timeline, const Quotient& quotient, const Fabric& fabric,
                std::span<const std::int64_t> calls) {
  for (const RankTimeline& rank : timeline.ranks) {
    for (const double end : rank.end) {
      timeline.step = max(timeline.step, Seconds{end});
    }
  }
  std::vector<double> bytes(quotient.links.size(), 0.0);
  for (std::size_t g = 0; g < quotient.groups.size(); ++g) {
    for (const std::int32_t number : quotient.groups[g].flows) {
      const FlowClass& flow = quotient.flows[static_cast<std::size_t>(number)];
      for (const auto& [link, weight] : flow.links) {
        bytes[static_cast<std::size_t>(link)] += flow.bytes.value * weight * static_cast<double>(calls[g]);
      }
    }
  }
  for (std::size_t l = 0; l < quotient.links.size(); ++l) {
    const LinkClass& link = quotient.links[l];
    timeline.links.push_back({.name = link_name(fabric, link.representative),
                              .count = link.count,
                              .bytes = {bytes[l]},
                              .bandwidth = fabric.link(link.representative).bandwidth});
  }
  timeline.flows_simulated = static_cast<std::int64_t>(quotient.flows.size());
  timeline.flows_real = quotient.flows_real;
  timeline.links_simulated = static_cast<std::int64_t>(quotient.links.size());
  timeline.links_real = quotient.links_real;
}

}  // namespace trainyard
