#pragma once
// Everything that a program lets flow over a fabric, before folding: every group of every communication, its flows and
// the links that can limit them.
#include <span>
#include <vector>

#include "sim/collectives/network_costs.hpp"
#include "sim/program/program.hpp"
#include "topologies/fabric/fabric.hpp"

namespace trainyard {

struct LaidGroup {
  std::int32_t communication = 0;
  std::int32_t index = 0;  // among the groups of the communication
  Seconds latency{};
  int multiprocessors = 0;
  BytesPerSecond memory_rate{};
  std::int32_t first_flow = 0;
  std::int32_t flows = 0;
};

struct LaidFlow {
  std::int32_t group = 0;
  std::int32_t links = 0;
  std::int64_t first_link = 0;  // into LaidOut::routes
  Bytes bytes{};
  BytesPerSecond rate_limit{};
  Seconds alone{};  // a flow on no link that takes this long instead
};

struct LaidOut {
  std::vector<LaidGroup> groups;
  std::vector<LaidFlow> flows;
  std::vector<LinkId> routes;
  std::vector<LinkId> links;  // that some flow is laid over
  std::size_t links_used = 0;

  std::span<const LinkId> route(const LaidFlow& flow) const {
    return {routes.data() + flow.first_link, static_cast<std::size_t>(flow.links)};
  }
};

// Whether flows may meet on a link too narrow for all of them. Where none do every flow moves at its own limit, and it
// makes no difference which way it takes.
enum class LinkSharing { kPossible, kNone };

// Which links of their routes flows are laid over: those that can be a bottleneck to some flow, or all.
enum class LaidLinks { kThatCanLimit, kAll };

// Groups that lie alike in like nodes are planned once.
LaidOut lay_out(const Program& program, const Fabric& fabric, const NetworkCosts& costs,
                LaidLinks links = LaidLinks::kThatCanLimit);

// Lowers the limit of every flow to what the narrowest link of its route carries: then that is its rate when it has the
// fabric to itself.
void limit_by_routes(LaidOut& laid, const Fabric& fabric);

// Every call at the time it takes alone: one flow on no link.
LaidOut lay_out_alone(const Program& program, const Fabric& fabric, const NetworkCosts& costs);

}  // namespace trainyard
