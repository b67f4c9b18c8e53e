#include "sim/collectives/group_table.hpp"

#include <fmt/format.h>

#include <charconv>

#include "sim/collectives/base/max_min.hpp"
#include "sim/collectives/collective_table.hpp"
#include "sim/collectives/grouped.hpp"
#include "sim/collectives/option_fault.hpp"
#include "sim/collectives/plan.hpp"

namespace trainyard {
namespace {

constexpr std::string_view kGroupExample = "--group all_reduce:1M,sendrecv:64K:0-1";

int parse_rank(std::string_view text, int ranks, std::string_view whole, std::string_view file) {
  int rank = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rank);
  if (error != std::errc() || end != text.data() + text.size() || rank < 0 || rank >= ranks) {
    fail_option(file, whole, fmt::format("two ranks from 0 to {} joined by a dash", ranks - 1),
                "this is no pair of ranks", kGroupExample);
  }
  return rank;
}

GroupCall parse_call(std::string_view text, int ranks, std::string_view file) {
  const std::size_t first = text.find(':');
  if (first == std::string_view::npos) {
    fail_option(file, text, "operation:size, or sendrecv:size:from-to", "a call needs a size", kGroupExample);
  }
  const std::size_t second = text.find(':', first + 1);
  const std::string op(text.substr(0, first));
  GroupCall call;
  const auto known = kCollectiveOpNames.find(op);
  if (!known || *known == CollectiveOp::kAllToAllV) {
    fail_option(file, op, join_names(kCollectiveOpNames.names()), "this is no operation for a group", kGroupExample);
  }
  call.op = *known;
  call.size = parse_sizes(text.substr(first + 1, second - first - 1), file).front();
  if ((call.op == CollectiveOp::kSendRecv) != (second != std::string_view::npos)) {
    fail_option(file, text, "sendrecv:size:from-to, and operation:size for the others", "only send/recv has two ranks",
                kGroupExample);
  }
  if (second != std::string_view::npos) {
    const std::string_view pair = text.substr(second + 1);
    const std::size_t dash = std::min(pair.find('-'), pair.size());
    call.from = parse_rank(pair.substr(0, dash), ranks, text, file);
    call.to = parse_rank(pair.substr(std::min(dash + 1, pair.size())), ranks, text, file);
    if (call.from == call.to) {
      fail_option(file, text, "two different ranks", "a rank does not send to itself", kGroupExample);
    }
  }
  return call;
}

}  // namespace

std::vector<GroupCall> parse_group(std::string_view text, int ranks, std::string_view file) {
  std::vector<GroupCall> calls;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    calls.push_back(parse_call(text.substr(begin, comma - begin), ranks, file));
    begin = comma + 1;
  }
  return calls;
}

GroupTable group_table(const std::vector<GroupCall>& calls, const ClusterSpec& cluster, int gpus,
                       const CollectiveOptions& options) {
  const Fabric fabric = build_fabric(cluster, gpus);
  std::vector<DeviceId> members;
  for (int d = 0; d < gpus; ++d) {
    members.push_back({d});
  }
  std::vector<std::vector<DeviceId>> pairs;
  pairs.reserve(calls.size());
  std::vector<CollectiveRequest> requests;
  Seconds one_by_one{};
  for (const GroupCall& call : calls) {
    pairs.push_back({{call.from}, {call.to}});
    requests.push_back({.op = call.op,
                        .size = call.size,
                        .members = call.op == CollectiveOp::kSendRecv ? std::span<const DeviceId>(pairs.back())
                                                                      : std::span<const DeviceId>(members)});
    one_by_one += uncontended_time(plan_collective(requests.back(), cluster, fabric, options), fabric);
  }
  const GroupedPlan group = plan_group(requests, cluster, fabric, options);
  const std::vector<Seconds> over = concurrent_times(group.plans, fabric);
  GroupTable out;
  out.text = fmt::format("# {} calls in one group on {} GPUs of {}\n# {:<16} {:<8} {:>6} {:>9} {:>12}\n", calls.size(),
                         gpus, cluster.name, "algorithm", "protocol", "calls", "channels", "over (us)");
  Json parts = Json::array();
  for (std::size_t p = 0; p < group.plans.size(); ++p) {
    const CollectivePlan& plan = group.plans[p];
    out.text += fmt::format("  {:<16} {:<8} {:>6} {:>9} {:>12.2f}\n", name_of(plan.algorithm), name_of(plan.protocol),
                            group.calls[p], plan.channels, over[p].value * 1e6);
    parts.push_back({{"algorithm", name_of(plan.algorithm)},
                     {"protocol", name_of(plan.protocol)},
                     {"calls", group.calls[p]},
                     {"channels", plan.channels},
                     {"time_s", over[p].value}});
  }
  const Seconds whole = group_time(group, fabric);
  out.text += fmt::format("# whole group {:.2f} us; the same calls one after another {:.2f} us\n", whole.value * 1e6,
                          one_by_one.value * 1e6);
  out.json = {{"cluster", cluster.name},
              {"gpus", gpus},
              {"time_s", whole.value},
              {"one_by_one_s", one_by_one.value},
              {"parts", std::move(parts)}};
  return out;
}

}  // namespace trainyard
