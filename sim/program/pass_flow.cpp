#include "sim/program/pass_flow.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace trainyard {
namespace {

// How a layer's collective of a group appears in the program.
struct GroupUse {
  Category category;
  StreamName stream;
};

constexpr GroupUse use_of(ParallelGroup group) {
  switch (group) {
    case ParallelGroup::kContext:
    case ParallelGroup::kContextInner:
    case ParallelGroup::kContextOuter:
      return {Category::kContext, StreamName::kContext};
    case ParallelGroup::kExpert:
      return {Category::kExpert, StreamName::kExpert};
    case ParallelGroup::kExpertTensor:
      return {Category::kExpert, StreamName::kTensor};
    default:  // layers communicate in no group of data parallelism or of the pipeline
      return {Category::kTensor, StreamName::kTensor};
  }
}

}  // namespace

bool PassRunner::exchanges_next(const PassFlow& flow) const {
  const PricedStep* step = flow.step_at(flow.next_);
  const auto* collective = step == nullptr ? nullptr : std::get_if<GroupCollective>(step);
  const PricedStep* after = flow.step_at(flow.next_ + 1);
  const bool host_waits = after != nullptr && std::holds_alternative<HostSync>(*after);
  return collective != nullptr && collective->group == ParallelGroup::kExpert &&
         collective->overlapped_operators == 0 && !host_waits;
}

const PassRunner::Appearance& PassRunner::appearance(const PricedRun& priced) {
  const auto [known, is_new] = appearances_.try_emplace(&priced);
  if (is_new) {
    known->second.name = builder_.name(priced.name);
  }
  return known->second;
}

const PassRunner::Appearance& PassRunner::appearance(const GroupCollective& collective) {
  const auto [known, is_new] = appearances_.try_emplace(&collective);
  if (is_new) {
    const GroupUse use = use_of(collective.group);
    const CommunicationId id = collective.op == CollectiveOp::kSendRecv
                                   ? communicators_.ring_step(collective.group, collective.size)
                                   : communicators_.collective(collective.group, collective.op, collective.size);
    const std::string name =
        fmt::format("{} {}", kCategoryNames.name_of(use.category), kCollectiveOpNames.name_of(collective.op));
    known->second = {.name = builder_.name(name), .category = use.category, .stream = use.stream, .communication = id};
  }
  return known->second;
}

void PassRunner::start(const GroupCollective& collective, PassFlow& flow) {
  const Appearance& as = appearance(collective);
  const Seconds host = communicators_.issue_time(as.communication);
  if (collective.overlapped_operators > 0) {
    flow.beside_.push_back(builder_.communicate_async(as.category, as.stream, as.name, host, as.communication));
  } else {
    builder_.communicate(as.category, as.stream, as.name, host, {&as.communication, 1});
  }
}

void PassRunner::advance(PassFlow& flow) {
  PassFlow::Item& item = flow.items_[flow.next_++];
  if (const auto* call = std::get_if<std::function<void()>>(&item)) {
    (*call)();
    return;
  }
  const PricedStep& step = *std::get<const PricedStep*>(item);
  if (const auto* priced = std::get_if<PricedRun>(&step)) {
    builder_.kernels(Category::kCompute, appearance(*priced).name, priced->run);
  } else if (const auto* collective = std::get_if<GroupCollective>(&step)) {
    start(*collective, flow);
  } else if (std::holds_alternative<HostSync>(step)) {
    builder_.host_wait_for_flow("read token counts");
  } else {
    builder_.join(flow.beside_.front());
    flow.beside_.erase(flow.beside_.begin());
  }
}

void PassRunner::take_turn(PassFlow& flow) {
  builder_.set_label(flow.label_);
  flow.frontier_ = builder_.exchange_frontier(std::move(flow.frontier_));
  bool started = false;
  while (!flow.is_over() && (!started || exchanges_next(flow))) {
    started = exchanges_next(flow);
    advance(flow);
  }
  flow.frontier_ = builder_.exchange_frontier(std::move(flow.frontier_));
}

void PassRunner::run(PassFlow& flow) {
  builder_.set_label(flow.label_);
  while (!flow.is_over()) {
    advance(flow);
  }
}

void PassRunner::run_beside(PassFlow& forward, PassFlow& backward) {
  forward.frontier_ = builder_.frontier();
  backward.frontier_ = builder_.frontier();
  while (!forward.is_over() || !backward.is_over()) {
    for (PassFlow* flow : {&backward, &forward}) {
      if (!flow->is_over()) {
        take_turn(*flow);
      }
    }
  }
  builder_.exchange_frontier(std::move(forward.frontier_));
  for (const OperationId operation : backward.frontier_) {
    builder_.join(operation);
  }
}

}  // namespace trainyard
