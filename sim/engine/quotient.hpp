#pragma once
// Symmetry folding. Ranks that run the same program in equivalent places of the fabric do the same thing at the same
// time; colour refinement over ranks, communications, flows and links finds them (the coarsest equitable partition). On
// the quotient every flow class crosses a link class with the number of its flows that one such link carries, so
// max-min fair shares are those of the whole: folding is exact.
#include <cstdint>
#include <utility>
#include <vector>

#include "sim/collectives/network_costs.hpp"
#include "sim/engine/laid_out.hpp"
#include "sim/program/program.hpp"
#include "sim/scenario/scenario.hpp"
#include "topologies/fabric/fabric.hpp"

namespace trainyard {

struct LinkClass {
  LinkId representative;
  std::int64_t count = 0;
};

struct FlowClass {
  Bytes bytes{};
  BytesPerSecond rate_limit{};
  Seconds alone{};  // as LaidFlow::alone
  // Link classes in the order of the route, and how many flows of this class pass through one link of that class. Where
  // nothing is shared they are those that some flow of this class crosses, each once, in the order of their numbers.
  std::vector<std::pair<std::int32_t, std::int32_t>> links;
  std::int64_t count = 0;
};

// Groups of one communication that behave alike.
struct GroupClass {
  CommunicationId communication;
  Seconds latency{};
  int multiprocessors = 0;                 // held on every member
  BytesPerSecond memory_rate{};            // read and written on every member while the call runs, at its own pace
  std::vector<std::int32_t> flows;         // flow classes
  std::vector<std::int32_t> participants;  // rank classes
  std::int64_t count = 0;
};

struct RankClass {
  RankId representative;
  ClassId program_class;
  std::int64_t count = 0;
  std::vector<std::int32_t> group_of;  // by communication: the group class this rank takes part in, or -1
};

struct Quotient {
  std::vector<RankClass> ranks;
  std::vector<GroupClass> groups;
  std::vector<FlowClass> flows;
  std::vector<LinkClass> links;
  std::int64_t flows_real = 0;
  std::int64_t links_real = 0;
};

// Ranks are devices of the same number. With Fold::kOff every rank, group, flow and link is a class of its own.
// With LinkSharing::kNone it is exact only while every flow moves at its own limit.
Quotient fold_laid_out(const Program& program, const Fabric& fabric, const LaidOut& laid, Fold fold,
                       LinkSharing sharing = LinkSharing::kPossible);

}  // namespace trainyard
