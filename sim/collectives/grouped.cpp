#include "sim/collectives/grouped.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "sim/collectives/base/max_min.hpp"
#include "sim/collectives/base/sends.hpp"
#include "sim/collectives/plan.hpp"

namespace trainyard {
namespace {

constexpr double kAggregateBelow = 4.0;  // times the smallest call of the run

// The transfers that a call built from sends consists of.
void add_transfers(std::vector<Transfer>& out, const CollectiveRequest& call) {
  const std::span<const DeviceId> members = call.members;
  const Bytes part = call.size / static_cast<double>(members.size());
  switch (call.op) {
    case CollectiveOp::kSendRecv:
      for (std::size_t i = 0; i < sends_of(members); ++i) {
        out.push_back({members[i], members[(i + 1) % members.size()], call.size});
      }
      return;
    case CollectiveOp::kGather:
    case CollectiveOp::kScatter:
      for (const DeviceId member : members.subspan(1)) {
        out.push_back(call.op == CollectiveOp::kGather ? Transfer{member, members[0], part}
                                                       : Transfer{members[0], member, part});
      }
      return;
    default:
      if (!call.transfers.empty()) {
        out.insert(out.end(), call.transfers.begin(), call.transfers.end());
        return;
      }
      for (const DeviceId from : members) {
        for (const DeviceId to : members) {
          if (from != to) {
            out.push_back({from, to, part});
          }
        }
      }
  }
}

// A plan's time from the start of its flows to their end, alone.
Seconds transfer_of(const CollectivePlan& plan) {
  Seconds longest{};
  for (const Flow& flow : plan.flows) {
    if (flow.rate_limit.value > 0.0) {
      longest = max(longest, flow.bytes / flow.rate_limit);
    }
  }
  return longest;
}

// Channels by traffic: every part is slowed down until all end together.
void share_channels(std::vector<CollectivePlan>& plans) {
  Seconds whole{};
  int most = 0;
  for (const CollectivePlan& plan : plans) {
    whole += transfer_of(plan);
    most = std::max(most, plan.channels);
  }
  for (CollectivePlan& plan : plans) {
    const double share = whole.value > 0.0 ? transfer_of(plan) / whole : 1.0;
    plan.channels = std::clamp(static_cast<int>(std::lround(most * share)), 1, std::max(1, plan.channels));
    plan.sms = std::min(plan.sms, plan.channels);
    for (Flow& flow : plan.flows) {
      flow.rate_limit = flow.rate_limit * share;
    }
  }
}

}  // namespace

GroupedPlan plan_group(std::span<const CollectiveRequest> calls, const ClusterSpec& cluster, const Fabric& fabric,
                       const CollectiveOptions& options) {
  std::vector<Transfer> transfers;
  std::vector<DeviceId> exchanging;
  const CollectiveRequest* last_send = nullptr;
  int sends = 0;
  Bytes sent{};
  std::map<CollectiveOp, std::vector<CollectiveRequest>> by_op;
  for (const CollectiveRequest& call : calls) {
    if (call.members.size() < 2) {
      continue;
    }
    if (!is_point_to_point(call.op)) {
      by_op[call.op].push_back(call);
      continue;
    }
    add_transfers(transfers, call);
    exchanging.insert(exchanging.end(), call.members.begin(), call.members.end());
    last_send = &call;
    ++sends;
  }
  GroupedPlan out;
  for (auto& [op, list] : by_op) {
    std::stable_sort(list.begin(), list.end(),
                     [](const CollectiveRequest& a, const CollectiveRequest& b) { return a.size < b.size; });
    for (std::size_t first = 0; first < list.size();) {
      CollectiveRequest run = list[first];
      std::size_t next = first + 1;
      for (; next < list.size() && list[next].size < list[first].size * kAggregateBelow; ++next) {
        run.size += list[next].size;
        ++run.calls;
      }
      out.plans.push_back(plan_collective(run, cluster, fabric, options));
      out.calls.push_back(run.calls);
      first = next;
    }
  }
  if (sends == 1) {
    out.plans.push_back(plan_collective(*last_send, cluster, fabric, options));
    out.calls.push_back(1);
  } else if (sends > 0) {
    std::sort(exchanging.begin(), exchanging.end());
    exchanging.erase(std::unique(exchanging.begin(), exchanging.end()), exchanging.end());
    for (const Transfer& transfer : transfers) {
      sent += transfer.bytes;
    }
    out.plans.push_back(plan_collective({.op = CollectiveOp::kAllToAllV,
                                         .size = sent / static_cast<double>(exchanging.size()),
                                         .members = exchanging,
                                         .transfers = transfers},
                                        cluster, fabric, options));
    out.calls.push_back(sends);
  }
  if (out.plans.size() > 1) {
    share_channels(out.plans);
  }
  return out;
}

Seconds group_time(const GroupedPlan& group, const Fabric& fabric) {
  Seconds longest{};
  for (const Seconds over : concurrent_times(group.plans, fabric)) {
    longest = max(longest, over);
  }
  return longest;
}

}  // namespace trainyard
