#include "sim/collectives/collective_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "sim/base/error.hpp"
#include "sim/collectives/option_fault.hpp"
#include "sim/collectives/plan.hpp"

namespace trainyard {
namespace {

constexpr std::string_view kSizesExample = "--sizes 8:16G";

double parse_size(std::string_view text, std::string_view whole, std::string_view file) {
  double factor = 1.0;
  std::string_view digits = text;
  if (!digits.empty()) {
    const std::size_t unit = std::string_view("KMGT").find(static_cast<char>(std::toupper(digits.back())));
    if (unit != std::string_view::npos) {
      factor = std::pow(1024.0, static_cast<double>(unit + 1));
      digits.remove_suffix(1);
    }
  }
  double value = 0.0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const double size = value * factor;
  if (error != std::errc() || end != digits.data() + digits.size() || !is_message_size(size)) {
    fail_option(file, whole, "whole bytes from 1 to 1048576T as 8, 64K, 1M or 16G, or two sizes joined by a colon",
                "this is no message size", kSizesExample);
  }
  return size;
}

bool is_rooted(CollectiveOp op) {
  return op == CollectiveOp::kBroadcast || op == CollectiveOp::kReduce || op == CollectiveOp::kGather ||
         op == CollectiveOp::kScatter;
}

std::string header(const CollectiveSweep& sweep, Candidates candidates) {
  const bool all = candidates == Candidates::kAll;
  return fmt::format(
      "# {} on {} GPUs of {}\n"
      "# {:>12} {:>14} {:>8} {:>8} {:>6} {:>12} {:>8} {:>8}   {:<18} {:<8} {:>8}{}\n"
      "# {:>12} {:>14} {:>8} {:>8} {:>6} {:>12} {:>8} {:>8}{}\n",
      kCollectiveOpNames.name_of(sweep.op), sweep.ranks, sweep.cluster, "size", "count", "type", "redop", "root",
      "time", "algbw", "busbw", "algorithm", "protocol", "channels", all ? fmt::format(" {:>12}", "tuner") : "", "(B)",
      "(elements)", "", "", "", "(us)", "(GB/s)", "(GB/s)", all ? fmt::format("{:52}(us)", "") : "");
}

std::string line(const CollectiveSweep& sweep, const SweepRow& row, bool marks) {
  const bool reduces = sweep.op == CollectiveOp::kAllReduce || sweep.op == CollectiveOp::kReduceScatter ||
                       sweep.op == CollectiveOp::kReduce;
  const double algorithm_rate = row.time.value > 0.0 ? row.size.value / row.time.value / 1e9 : 0.0;
  constexpr double kFloatBytes = 4.0;  // nccl-tests' default type
  return fmt::format("{} {:>12.0f} {:>14.0f} {:>8} {:>8} {:>6} {:>12.2f} {:>8.2f} {:>8.2f}   {:<18} {:<8} {:>8}{}\n",
                     marks && row.chosen ? "*" : " ", row.size.value, std::floor(row.size.value / kFloatBytes), "float",
                     reduces ? "sum" : "none", is_rooted(sweep.op) ? 0 : -1, row.time.value * 1e6, algorithm_rate,
                     algorithm_rate * bus_factor(sweep.op, sweep.ranks), name_of(row.algorithm), name_of(row.protocol),
                     row.channels, row.tuner ? fmt::format(" {:>12.2f}", row.tuner->value * 1e6) : "");
}

Json to_json(const CollectiveSweep& sweep) {
  Json rows = Json::array();
  for (const SweepRow& row : sweep.rows) {
    const double rate = row.time.value > 0.0 ? row.size.value / row.time.value : 0.0;
    rows.push_back({{"size_bytes", row.size.value},
                    {"time_s", row.time.value},
                    {"algbw_bytes_per_s", rate},
                    {"busbw_bytes_per_s", rate * bus_factor(sweep.op, sweep.ranks)},
                    {"algorithm", name_of(row.algorithm)},
                    {"protocol", name_of(row.protocol)},
                    {"channels", row.channels},
                    {"chosen", row.chosen}});
    if (row.tuner) {
      rows.back()["tuner_s"] = row.tuner->value;
    }
  }
  return {{"op", kCollectiveOpNames.name_of(sweep.op)},
          {"cluster", sweep.cluster},
          {"gpus", sweep.ranks},
          {"results", std::move(rows)}};
}

}  // namespace

bool is_message_size(double bytes) {
  return bytes >= 1.0 && bytes <= kLargestMessage.value && std::floor(bytes) == bytes;
}

std::vector<Bytes> parse_sizes(std::string_view text, std::string_view file) {
  const std::size_t colon = text.find(':');
  const double first = parse_size(text.substr(0, colon), text, file);
  const double last = colon == std::string_view::npos ? first : parse_size(text.substr(colon + 1), text, file);
  std::vector<Bytes> sizes;
  for (double size = first; size <= last; size *= 2.0) {
    sizes.push_back({size});
  }
  if (sizes.empty()) {
    fail_option(file, text, "the smaller size before the colon", "the range of sizes is empty", kSizesExample);
  }
  return sizes;
}

double bus_factor(CollectiveOp op, int ranks) {
  const double n = ranks;
  switch (op) {
    case CollectiveOp::kAllReduce:
      return 2.0 * (n - 1.0) / n;
    case CollectiveOp::kAllGather:
    case CollectiveOp::kReduceScatter:
    case CollectiveOp::kAllToAll:
    case CollectiveOp::kAllToAllV:
    case CollectiveOp::kGather:
    case CollectiveOp::kScatter:
      return (n - 1.0) / n;
    case CollectiveOp::kBroadcast:
    case CollectiveOp::kReduce:
    case CollectiveOp::kSendRecv:
    case CollectiveOp::kBarrier:
      return 1.0;
  }
  return 1.0;
}

CollectiveSweep collective_sweep(CollectiveOp op, const ClusterSpec& cluster, int gpus, const std::vector<Bytes>& sizes,
                                 const CollectiveOptions& options, Candidates candidates,
                                 const ExchangeWeights& weights) {
  const Fabric fabric = build_fabric(cluster, gpus);
  CollectiveSweep out{.op = op, .cluster = cluster.name, .ranks = gpus};
  std::vector<DeviceId> members;
  for (int d = 0; d < gpus; ++d) {
    members.push_back({d});
  }
  const bool all = candidates == Candidates::kAll;
  out.text = header(out, candidates);
  for (const Bytes size : sizes) {
    const std::vector<Transfer> transfers =
        weights.empty() ? std::vector<Transfer>() : transfers_of(weights, members, size);
    const CollectiveRequest request{.op = op, .size = size, .members = members, .transfers = transfers};
    const CollectivePlan chosen = plan_collective(request, cluster, fabric, options);
    const auto add = [&](const CollectivePlan& plan, std::optional<Seconds> tuner) {
      out.rows.push_back({size, uncontended_time(plan, fabric), plan.algorithm, plan.protocol, plan.channels,
                          plan.algorithm == chosen.algorithm && plan.protocol == chosen.protocol, tuner});
      out.text += line(out, out.rows.back(), all);
    };
    if (!all) {
      add(chosen, std::nullopt);
      continue;
    }
    for (const CollectiveEstimate& candidate : collective_candidates(request, cluster, fabric, options)) {
      CollectiveOptions forced = options;
      forced.algorithm = candidate.algorithm;
      forced.protocol = candidate.protocol;
      add(candidate.algorithm == chosen.algorithm && candidate.protocol == chosen.protocol
              ? chosen
              : plan_collective(request, cluster, fabric, forced),
          candidate.latency + candidate.transfer);
    }
    if (std::none_of(out.rows.begin(), out.rows.end(),
                     [&](const SweepRow& row) { return row.size == size && row.chosen; })) {
      add(chosen, std::nullopt);  // forced, and none of the library's own
    }
  }
  out.json = to_json(out);
  return out;
}

}  // namespace trainyard
