#pragma once
// Programs, fabrics and prices small enough to simulate with a pencil.
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "sim/engine/quotient.hpp"
#include "sim/engine/simulate.hpp"
#include "sim/program/rank_builder.hpp"

namespace trainyard::checks {

// Devices around one switch; the link up from device i is number 2 i, the link down to it 2 i + 1.
inline Fabric star(std::size_t devices, BytesPerSecond bandwidth) {
  std::vector<Vertex> vertices;
  std::vector<Link> links;
  const auto hub = VertexId::from(devices);
  for (std::size_t i = 0; i < devices; ++i) {
    vertices.push_back({.kind = VertexKind::kGpu, .node = 0, .index = static_cast<int>(i)});
    links.push_back({.from = VertexId::from(i), .to = hub, .bandwidth = bandwidth});
    links.push_back({.from = hub, .to = VertexId::from(i), .bandwidth = bandwidth});
  }
  vertices.push_back({.kind = VertexKind::kNvSwitch, .node = 0, .index = 0});
  return Fabric("star", std::move(vertices), std::move(links));
}

// A message is one flow along the fabric's route; any other collective is a ring of such flows between members. The
// latency is the same for all unless `latency_of` says otherwise.
class PencilCosts final : public NetworkCosts {
 public:
  PencilCosts(const Fabric& fabric, Seconds latency) : fabric_(fabric), latency_(latency) {}

  std::function<Seconds(const CollectiveRequest&)> latency_of;
  BytesPerSecond rate_limit{};  // zero: none

  CollectivePlan plan(const CollectiveRequest& request) const override {
    CollectivePlan plan;
    if (request.members.size() < 2 || request.size <= Bytes{}) {
      return plan;
    }
    plan.latency = latency_of ? latency_of(request) : latency_;
    const std::size_t flows = request.op == CollectiveOp::kSendRecv ? 1 : request.members.size();
    for (std::size_t i = 0; i < flows; ++i) {
      const DeviceId from = request.members[i];
      const DeviceId to = request.members[(i + 1) % request.members.size()];
      plan.flows.push_back(
          {.from = from, .to = to, .route = fabric_.route(from, to), .bytes = request.size, .rate_limit = rate_limit});
    }
    return plan;
  }

 private:
  const Fabric& fabric_;
  Seconds latency_;
};

// Ranks of hand-written programs: every call of add() makes a class of its own for the given ranks.
class PencilProgram {
 public:
  CommunicationId message(std::int32_t from, std::int32_t to, Bytes size) {
    return communication(CollectiveOp::kSendRecv, size, {{{from}, {to}}});
  }
  CommunicationId communication(CollectiveOp op, Bytes size, std::vector<std::vector<RankId>> groups) {
    program_.communications.push_back({.name = "communication", .op = op, .size = size, .groups = std::move(groups)});
    return CommunicationId::from(program_.communications.size() - 1);
  }
  void add(const std::vector<std::int32_t>& ranks, const std::function<void(RankBuilder&)>& write) {
    RankBuilder builder(names_);
    write(builder);
    const auto program_class = ClassId::from(program_.classes.size());
    program_.classes.push_back(builder.take());
    program_.class_names.push_back("class " + std::to_string(program_class.value));
    for (const std::int32_t rank : ranks) {
      if (program_.class_of.size() <= static_cast<std::size_t>(rank)) {
        program_.class_of.resize(static_cast<std::size_t>(rank) + 1);
      }
      program_.class_of[static_cast<std::size_t>(rank)] = program_class;
    }
  }
  Program take() {
    program_.names = names_.take();
    return std::move(program_);
  }

 private:
  NameIndex names_;
  Program program_;
};

// One kernel of the given device time that costs the host nothing.
inline KernelRun kernel(Seconds device) {
  KernelRun run;
  run.append({}, device);
  return run;
}

inline void compute(RankBuilder& rank, Seconds device) {
  rank.kernels(Category::kCompute, "kernel", kernel(device));
}
inline void send(RankBuilder& rank, CommunicationId message) {
  rank.communicate(Category::kPipeline, StreamName::kPipeline, "message", {}, {&message, 1});
}
inline void collect(RankBuilder& rank, CommunicationId collective) {
  rank.communicate(Category::kTensor, StreamName::kTensor, "collective", {}, {&collective, 1});
}

inline Quotient fold_program(const Program& program, const Fabric& fabric, const NetworkCosts& costs, Fold fold) {
  return fold_laid_out(program, fabric, lay_out(program, fabric, costs), fold);
}

}  // namespace trainyard::checks
